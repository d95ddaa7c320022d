"""Training, stopping, resuming and testing through the tools, on a tiny detector."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from projects.common.runner import is_complete, newest_checkpoint
from tests.tools.conftest import ROOT


def short(world, work_dir, *more):
    """Options of a run of two epochs of two steps on eight small images."""
    return (
        *('--data', world, '--quick', 64, '--work-dir', work_dir, '--init', 'none'),
        *more,
        *('--cfg-options', 'train_cfg.max_epochs=2', 'train_cfg.val_interval=2'),
        *('train_dataloader.dataset.times=1', 'default_hooks.logger.interval=1'),
        *('train_dataloader.num_workers=0', 'val_dataloader.num_workers=0'),
        *('train_dataloader.persistent_workers=False',),
        *('val_dataloader.persistent_workers=False',),
    )


def read(path):
    return torch.load(path, map_location='cpu', weights_only=True)


def scalars(work_dir):
    files = sorted(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for path in files for line in path.open()]


@pytest.fixture(scope='module')
def finished(world, configs, tmp_path_factory):
    """A finished run: its work dir and what it printed."""
    work_dir = tmp_path_factory.mktemp('run')
    tool = [sys.executable, ROOT / 'tools/train.py', configs / 'tiny.py']
    result = subprocess.run(
        [*map(str, [*tool, *short(world, work_dir, '--seed', 3)])],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return work_dir, result.stdout


def test_a_run_leaves_checkpoint_curve_log_and_metrics(finished):
    work_dir, said = finished
    assert is_complete(work_dir / 'epoch_2.pth')
    assert (work_dir / 'curve.png').stat().st_size > 1000
    assert (work_dir / 'tiny.py').is_file()
    for word in ('box AP50', 'mask AP50', 'epoch_2.pth', 'curve.png'):
        assert word in said
    steps = [line for line in scalars(work_dir) if 'loss' in line]
    assert len(steps) == 4
    assert not list(work_dir.glob('*.partial'))


def test_the_console_is_spared_what_only_the_log_file_needs(finished):
    work_dir, said = finished
    assert 'paramwise_options' not in said
    assert 'deprecated' not in said
    log = next(work_dir.glob('*/*.log')).read_text()
    assert 'paramwise_options' in log


def test_class_names_are_stored_in_the_checkpoint(finished):
    meta = read(finished[0] / 'epoch_2.pth')['meta']
    assert meta['dataset_meta']['classes'] == ('ring', 'box', 'triangle', 'star')


def test_the_saved_config_repeats_the_result(finished, call, tmp_path):
    work_dir, said = finished
    code, out, _ = call(
        'test',
        work_dir / 'tiny.py',
        work_dir / 'epoch_2.pth',
        *('--work-dir', tmp_path, '--draw', tmp_path / 'pictures'),
    )
    assert code == 0
    row = next(line for line in said.splitlines() if 'box AP50' in line)
    assert row in out
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == 4


@pytest.mark.slow
def test_an_earlier_run_is_moved_aside_not_overwritten(
    finished, call, world, configs, tmp_path
):
    before = (finished[0] / 'epoch_2.pth').read_bytes()
    for path in finished[0].glob('epoch_*.pth'):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    code, _, err = call('train', configs / 'tiny.py', *short(world, tmp_path))
    assert code == 0, err
    [aside] = tmp_path.glob('earlier_*')
    assert (aside / 'epoch_2.pth').read_bytes() == before


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    'config', ['tiny.py', pytest.param('by_iteration.py', marks=pytest.mark.slow)]
)
def test_resume_goes_on_where_the_run_stopped(world, configs, tmp_path, call, config):
    """Stopped halfway and resumed: as many steps, the same learning rates."""
    loop = 'epoch' if config == 'tiny.py' else 'iter'
    options = list(short(world, tmp_path))
    if loop == 'iter':  # --quick would turn it into epochs
        options = [*options, 'train_cfg.type=IterBasedTrainLoop']
    at = options.index('train_cfg.max_epochs=2')
    options[at : at + 2] = (
        ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1']
        if loop == 'epoch'
        else ['train_cfg.max_iters=2', 'train_cfg.val_interval=2']
    )
    if loop == 'iter':
        options.remove('--quick')
        options.remove(64)
        options.remove('train_cfg.type=IterBasedTrainLoop')
        options.remove('train_dataloader.dataset.times=1')
    code, _, err = call('train', configs / config, *options)
    assert code == 0, err
    half = newest_checkpoint(tmp_path)
    assert half.name == ('epoch_1.pth' if loop == 'epoch' else 'iter_2.pth')
    options[at : at + 2] = (
        ['train_cfg.max_epochs=2', 'train_cfg.val_interval=2']
        if loop == 'epoch'
        else ['train_cfg.max_iters=4', 'train_cfg.val_interval=4']
    )
    # The weights that the run started from are not needed any more.
    moved = configs / f'moved_{config}'
    init = "dict(_delete_=True, type='Pretrained', checkpoint='moved_away.pth')"
    moved.write_text(
        f"_base_ = './{config}'\nmodel = dict(backbone=dict(init_cfg={init}))"
    )
    code, _, err = call('train', moved, '--resume', *options)
    assert code == 0, err
    whole = read(newest_checkpoint(tmp_path))
    assert whole['meta']['iter'] == 4
    assert whole['optimizer']['state'][0]['step'] == 4
    steps = [line['step'] for line in scalars(tmp_path) if 'loss' in line]
    assert steps[-1] == 4
    assert steps == sorted(set(steps))


def test_kill_9_loses_nothing_that_was_saved(world, configs, tmp_path, call):
    options = [str(option) for option in short(world, tmp_path)]
    options[options.index('train_cfg.max_epochs=2')] = 'train_cfg.max_epochs=500'
    tool = [sys.executable, str(ROOT / 'tools/train.py'), str(configs / 'tiny.py')]
    run = subprocess.Popen(
        [*tool, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 240
        while not (tmp_path / 'epoch_3.pth').exists():
            assert run.poll() is None, run.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stderr.close()
    complete = newest_checkpoint(tmp_path)
    reached = read(complete)['meta']['epoch']
    assert reached >= 3
    # What a crash can leave behind besides: a cut file, and a useless pointer to it.
    cut = tmp_path / f'epoch_{reached + 1}.pth'
    cut.write_bytes(complete.read_bytes()[:-1000])
    (tmp_path / 'last_checkpoint').write_text('')
    assert newest_checkpoint(tmp_path) == complete
    options[options.index('train_cfg.max_epochs=500')] = (
        f'train_cfg.max_epochs={reached + 1}'
    )
    code, _, err = call('train', configs / 'tiny.py', '--resume', *options)
    assert code == 0, err
    assert read(tmp_path / f'epoch_{reached + 1}.pth')['meta']['epoch'] == reached + 1


def test_amp_bf16_compile_and_deterministic_run_on_a_cpu(
    world, configs, tmp_path, call, monkeypatch
):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda self: compiled.append(self))
    options = short(world, tmp_path, '--amp', 'bf16', '--compile', '--deterministic')
    code, _, err = call('train', configs / 'tiny.py', *options)
    torch.use_deterministic_algorithms(False)
    assert code == 0, err
    assert [type(module).__name__ for module in compiled] == ['UniFormer']
    weights = read(tmp_path / 'epoch_2.pth')['state_dict']
    assert {t.dtype for t in weights.values() if t.is_floating_point()} == {
        torch.float32
    }
    code, _, err = call(
        'test',
        tmp_path / 'tiny.py',
        tmp_path / 'epoch_2.pth',
        *('--amp', 'bf16', '--work-dir', tmp_path / 'test'),
    )
    assert code == 0, err


@pytest.mark.slow
def test_auto_scale_lr_scales_with_the_batch(world, configs, tmp_path, call):
    options = short(world, tmp_path, '--auto-scale-lr')
    code, _, err = call('train', configs / 'tiny.py', *options)
    assert code == 0, err
    group = read(tmp_path / 'epoch_2.pth')['optimizer']['param_groups'][0]
    # 4 images a step instead of the 16 that the recipe's rate is for.
    assert group['initial_lr'] == pytest.approx(3e-4 * 4 / 16)


@pytest.mark.slow
def test_two_processes_train_on_a_cpu(world, configs, tmp_path):
    command = [
        *(sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2'),
        *('--master_addr=127.0.0.1', '--master_port=29517'),
        *(ROOT / 'tools/train.py', configs / 'tiny.py', '--launcher', 'pytorch'),
        *short(world, tmp_path),
    ]
    result = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert is_complete(tmp_path / 'epoch_2.pth')
    assert len(re.findall('Held-out results', result.stdout)) == 1


def test_a_folder_without_checkpoints_has_no_newest(tmp_path):
    (tmp_path / 'epoch_1.pth').write_bytes(b'')
    assert newest_checkpoint(Path(tmp_path)) is None
