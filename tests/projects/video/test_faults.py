"""A run over broken videos: replaced, counted, listed, limited; or strict."""

import logging

import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.dataset import RepeatDataset, pseudo_collate
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

import projects.video  # noqa: F401 - registers
from projects.common.errors import UserError
from projects.video.faults import FaultLimitError, VideoFault, VideoFaultHook
from projects.video.frames import extract_frames
from tests.projects.video.clips import write_clip, write_flipped, write_sound

GOOD = 14
BROKEN = {
    'empty.mp4': 'empty',
    'text.mp4': 'no video',
    'cut.mp4': 'truncated',
    'flipped.mp4': 'corrupt',
    'sound.mp4': 'no pictures',
    'gone.mp4': 'missing',
}
DENSE = dict(type='DenseSample', clip_len=4, stride=2)
PACK = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('filename',)),
]


class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.seen += [sample.filename for sample in data_samples]
        return {'loss': self.weight.sum() * len(inputs)}


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    whole = write_clip(folder / 'good0.mp4', 20)
    for number in range(1, GOOD):
        (folder / f'good{number}.mp4').write_bytes(whole.read_bytes())
    (folder / 'empty.mp4').touch()
    (folder / 'text.mp4').write_text('no video')
    (folder / 'cut.mp4').write_bytes(whole.read_bytes()[:4000])
    write_flipped(whole, folder / 'flipped.mp4')
    write_sound(folder / 'sound.mp4')
    names = [*BROKEN, *(f'good{number}.mp4' for number in range(GOOD))]
    (folder / 'list.csv').write_text(''.join(f'{name},0\n' for name in names))
    return folder


def dataset(root, **settings):
    return (
        dict(
            type='VideoListDataset',
            ann_file=str(root / 'list.csv'),
            data_prefix=dict(video=str(root)),
            pipeline=[dict(type='SampleVideo', sample=DENSE), *PACK],
        )
        | settings
    )


def shut(iterator):
    """End workers now; left to the garbage collection they wait for five seconds."""
    if hasattr(iterator, '_shutdown_workers'):
        iterator._shutdown_workers()


def run(root, work_dir, epochs=1, workers=2, max_share=0.5, times=1, **settings):
    videos = DATASETS.build(dataset(root, **settings))
    loader = dict(
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=RepeatDataset(videos, times) if times > 1 else videos,
        collate_fn=dict(type='pseudo_collate'),
    )
    runner = Runner(
        Toy(),
        str(work_dir),
        train_dataloader=loader,
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        custom_hooks=[dict(type='VideoFaultHook', max_share=max_share)],
        default_hooks=dict(checkpoint=None),
        default_scope='mmaction',
        experiment_name=f'faults{abs(hash(str(work_dir)))}',
    )
    text = []
    handler = logging.Handler()
    handler.emit = lambda record: text.append(record.getMessage())
    runner.logger.addHandler(handler)
    try:
        runner.train()
    finally:
        shut(runner.train_loop.dataloader._iterator)
        runner.logger.removeHandler(handler)
        runner.log_text = [line for line in text if 'cannot be read' in line]
    return runner


@pytest.mark.parametrize('workers', [0, 2])
def test_run_skips_counts_and_lists_at_the_end_of_each_epoch(root, tmp_path, workers):
    runner = run(root, tmp_path, epochs=2, workers=workers)
    assert len(runner.log_text) == 2  # one list an epoch
    for text in runner.log_text:
        head, *lines = text.splitlines()
        assert head.startswith('train: 6 videos cannot be read and were replaced: ')
        for name, kind in BROKEN.items():
            assert f'1 {kind}' in head
            assert any(line.startswith(f'  {kind}: {root / name} (') for line in lines)
    assert len(runner.model.seen) == 2 * 20  # batches keep their size
    assert not any(name in path for path in runner.model.seen for name in BROKEN)
    # The same videos in both epochs: what replaces a video depends on its place alone.
    assert runner.model.seen[:20] == runner.model.seen[20:]


@pytest.mark.parametrize('times', [1, 8])
def test_run_stops_above_a_share(root, tmp_path, times):
    with pytest.raises(FaultLimitError) as caught:
        run(root, tmp_path, max_share=0.1, times=times)
    text = str(caught.value)
    assert '\n' not in text
    assert text.startswith('4 of the 20 train videos cannot be read, more than 10%')
    assert str(root / 'empty.mp4') in text
    assert isinstance(caught.value, UserError)  # so the tools end in a line and exit 2


@pytest.mark.parametrize('workers', [0, 2])
def test_strict_stops_at_the_first_with_one_line(root, tmp_path, workers):
    with pytest.raises(FaultLimitError) as caught:
        run(root, tmp_path, workers=workers, strict=True)
    assert str(caught.value) == f'{root / "empty.mp4"}: empty (it has 0 bytes)'


def test_nothing_readable_stops_with_one_line(root, tmp_path):
    path = tmp_path / 'list.csv'
    path.write_text('empty.mp4,0\ntext.mp4,0\n')
    data = DATASETS.build(dataset(root, ann_file=str(path)))
    for loader in (data, DataLoader(data, num_workers=1, collate_fn=pseudo_collate)):
        iterator = (
            iter(loader)
            if isinstance(loader, DataLoader)
            else map(data.__getitem__, [0])
        )
        with pytest.raises(FaultLimitError) as caught:
            next(iterator)
        shut(iterator)
        assert '\n' not in str(caught.value)
        assert 'in a row cannot be read, the first is' in str(caught.value)


def test_clean_run_says_nothing(root, tmp_path):
    path = tmp_path / 'list.csv'
    path.write_text(''.join(f'good{i}.mp4,0\n' for i in range(4)))
    assert run(root, tmp_path, ann_file=str(path), workers=0).log_text == []


def test_repeats_of_a_replacement_tell_of_the_fault_once(root):
    from mmengine.registry import FUNCTIONS

    from projects.video.faults import faults_of

    data = DATASETS.build(dataset(root, num_repeats=2))
    collate = FUNCTIONS.get('repeat_pseudo_collate')
    batch = collate([data[3], data[10]])
    faults = faults_of(batch)
    assert len(batch['inputs']) == 4
    assert [fault.kind for fault in faults] == ['corrupt']
    assert len({sample.filename for sample in batch['data_samples'][:2]}) == 1


def test_broken_frame_folders(root, tmp_path):
    names = [f'clip{i}' for i in range(8)]
    for name in names:
        extract_frames(root / 'good0.mp4', tmp_path / name, 'img_{:05}.jpg', 0)
    for number in range(1, 21):
        (tmp_path / 'clip1' / f'img_{number:05}.jpg').unlink()
        (tmp_path / 'clip2' / f'img_{number:05}.jpg').write_text('no picture')
        (tmp_path / 'clip3' / f'img_{number:05}.jpg').write_bytes(b'')
    (tmp_path / 'list.txt').write_text(''.join(f'{name} 20 0\n' for name in names))
    settings = dict(
        type='FrameListDataset',
        ann_file=str(tmp_path / 'list.txt'),
        data_prefix=dict(img=str(tmp_path)),
        pipeline=[DENSE, dict(type='ReadFrameFolder'), *PACK],
    )
    settings['pipeline'][-1] = dict(type='PackActionInputs', meta_keys=('frame_dir',))
    data = DATASETS.build(settings)
    kinds = {}
    for index in range(8):
        sample = data[index]['data_samples']
        for kind, path, _ in sample.metainfo.get('faults', []):
            kinds[path] = kind
    assert kinds == {
        str(tmp_path / 'clip1'): 'missing',
        str(tmp_path / 'clip2'): 'corrupt',
        str(tmp_path / 'clip3'): 'corrupt',
    }


def test_share_must_be_one():
    with pytest.raises(ValueError, match='from 0 to 1'):
        VideoFaultHook(max_share=10)


def test_fault_is_one_line():
    assert str(VideoFault('corrupt', 'a.mp4', 'two\nlines')) == (
        'a.mp4: corrupt (two lines)'
    )
    assert str(VideoFault('empty', 'a.mp4')) == 'a.mp4: empty (0 bytes)'
