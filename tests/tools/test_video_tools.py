"""Training on a folder of videos through the tools: names, faults, stops, resuming."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from projects.common.runner import is_complete, newest_checkpoint
from tests.projects.video.clips import write_clip
from tests.tools.conftest import ROOT

LEAF = ROOT / 'configs/video/uniformer_s_16x4_k400.py'
TINY = f"""
_base_ = {str(LEAF)!r}
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, depths=(1, 1, 2, 1), embed_dims=(8, 16, 24, 32), head_dim=8),
        init_cfg=None),
    cls_head=dict(in_channels=32))
"""
VIDEOS = 10  # of each of two classes


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two classes of short videos."""
    root = tmp_path_factory.mktemp('own')
    for name in ('open door', 'shut door'):
        (root / name).mkdir()
        for number in range(VIDEOS):
            write_clip(root / name / f'{number}.mp4', frames=12)
    return root


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / 'tiny.py').write_text(TINY)
    return tmp_path / 'tiny.py'


def options(folder, work_dir, *more):
    return (
        *('--data', folder, '--quick', 32, '--steps', 6, '--init', 'none'),
        *('--work-dir', work_dir, *more),
        *('--cfg-options', 'train_dataloader.num_workers=0'),
        *('train_dataloader.persistent_workers=False', 'val_dataloader.num_workers=0'),
        *('val_dataloader.persistent_workers=False', 'train_dataloader.batch_size=2'),
        'default_hooks.logger.interval=1',
    )


def read(path):
    return torch.load(path, map_location='cpu', weights_only=False)


def test_a_folder_trains_with_one_command_and_its_names_are_kept(
    call, tiny, folder, tmp_path
):
    work_dir = tmp_path / 'run'
    code, out, err = call('train', tiny, *options(folder, work_dir))
    assert (code, err) == (0, '')
    assert 'top-1' in out
    checkpoint = newest_checkpoint(work_dir)
    meta = read(checkpoint)['meta']['dataset_meta']
    assert tuple(meta['classes']) == ('open door', 'shut door')
    assert not list(folder.glob('*.csv'))
    found = tmp_path / 'found'
    clip = folder / 'open door/0.mp4'
    code, _, err = call('infer', work_dir / 'tiny.py', checkpoint, clip, '--out', found)
    assert (code, err) == (0, '')
    assert 'open door' in (found / 'predictions.json').read_text()
    code, out, err = call('test', tiny, checkpoint, *options(folder, work_dir)[:4])
    assert (code, err) == (0, '')
    assert 'top-1' in out


def test_a_broken_video_is_told_of_and_strict_stops_at_it(call, tiny, folder, tmp_path):
    broken = tmp_path / 'videos'
    for name in ('a', 'b'):
        (broken / name).mkdir(parents=True)
        for video in (folder / 'open door').iterdir():
            os.link(video, broken / name / video.name)
    (broken / 'a/11.mp4').write_text('no video')
    work_dir = tmp_path / 'run'
    code, out, err = call('train', tiny, *options(broken, work_dir))
    assert code == 0
    text = out + err + ''.join(p.read_text() for p in work_dir.glob('*/*.log'))
    assert '1 videos cannot be read and were replaced: 1 no video' in text
    code, _, err = call('train', tiny, *options(broken, tmp_path / 's', '--strict'))
    assert code == 2
    [line] = err.strip().splitlines()
    assert str(broken / 'a/11.mp4') in line


@pytest.mark.slow
def test_a_killed_run_goes_on_in_the_middle_of_its_epoch(tiny, folder, tmp_path):
    work_dir = tmp_path / 'run'
    more = 'default_hooks.timed_checkpoint.minutes=0'
    command = [sys.executable, ROOT / 'tools/train.py', tiny]
    command += [*options(folder, work_dir, '--seed', 1), more]
    command[command.index('--steps') + 1] = 60
    command = list(map(str, command))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        start = time.monotonic()
        while not any(is_complete(path) for path in work_dir.glob('iter_*.pth')):
            assert process.poll() is None, 'ended before it was killed'
            assert time.monotonic() - start < 300
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    stopped = int(newest_checkpoint(work_dir).stem.split('_')[1])
    result = subprocess.run(
        [
            *command[: command.index('--cfg-options')],
            '--resume',
            *command[command.index('--cfg-options') :],
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    done = read(newest_checkpoint(work_dir))
    epochs = done['meta']['epoch']
    length = done['meta']['iter'] // epochs
    assert stopped % length, 'stopped at the end of an epoch by chance'
    assert done['meta']['iter'] == epochs * length
    assert not list(work_dir.glob('iter_*.pth'))
