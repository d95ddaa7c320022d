"""A run that was killed in the middle goes on with the batches it had not seen."""

from typing import ClassVar

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import Dataset

from projects.common.checkpoints import TimedCheckpointHook
from projects.common.loops import SkippedBatches
from projects.common.runner import DurableRunner, newest_checkpoint

LENGTH, BATCH, EPOCHS = 11, 2, 3


class Numbers(Dataset):
    metainfo: ClassVar = {'classes': ('even', 'odd')}

    def __len__(self):
        return LENGTH

    def __getitem__(self, index):
        return {'index': torch.tensor(index)}


class Line(BaseModel):
    """Remembers what it was trained on; the rate schedule shows in its weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(LENGTH))
        self.seen = []

    def forward(self, index, mode):
        index = torch.as_tensor(index)
        self.seen.append(index.tolist())
        return {'loss': (self.weight[index] - index).square().sum()}


class Kill(Hook):
    priority = 'LOWEST'

    def __init__(self, at):
        self.at = at

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.at:
            raise KeyboardInterrupt


class Places(Hook):
    """Number of each batch in its epoch."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(batch_idx)


def build(work_dir, by_epoch, workers=0, hooks=(), kind=DurableRunner, **settings):
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    loops = {'max_epochs': EPOCHS} if by_epoch else {'max_iters': 18}
    name = f'loops{by_epoch}{workers}{len(list(work_dir.glob("*")))}{work_dir.name}'
    return kind(
        Line(),
        str(work_dir),
        train_dataloader={
            'batch_size': BATCH,
            'num_workers': workers,
            'persistent_workers': workers > 0,
            'sampler': {'type': sampler, 'shuffle': True},
            'dataset': Numbers(),
        },
        train_cfg={'by_epoch': by_epoch, **loops},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}},
        param_scheduler={'type': 'ExponentialLR', 'gamma': 0.9, 'by_epoch': False},
        custom_hooks=[TimedCheckpointHook(0), *hooks],
        default_hooks={'checkpoint': None},
        experiment_name=name,
        **settings,
    )


def killed_and_resumed(folder, by_epoch, at, workers=0):
    """Batches of both halves, and the second runner."""
    first = build(folder, by_epoch, workers, [Kill(at)], randomness={'seed': 3})
    with pytest.raises(KeyboardInterrupt):
        first.train()
    assert newest_checkpoint(folder).name == f'iter_{at}.pth'
    places = Places()
    second = build(folder, by_epoch, workers, [places], resume=True)
    second._load_from = str(newest_checkpoint(folder))
    second.train()
    return first.model.seen, second.model.seen, second, places.seen


@pytest.mark.parametrize('by_epoch', [True, False], ids=['epochs', 'iterations'])
@pytest.mark.parametrize('at', [1, 5, 6, 8, 17])
def test_two_halves_are_the_whole(tmp_path, by_epoch, at):
    whole = build(tmp_path / 'whole', by_epoch, randomness={'seed': 3})
    whole.train()
    first, second, runner, _ = killed_and_resumed(tmp_path / 'halves', by_epoch, at)
    assert len(first) == at
    assert first + second == whole.model.seen
    assert torch.equal(runner.model.weight, whole.model.weight)
    assert (runner.epoch, runner.iter) == (EPOCHS if by_epoch else 0, 18)


@pytest.mark.parametrize('by_epoch', [True, False], ids=['epochs', 'iterations'])
def test_with_workers_too(tmp_path, by_epoch):
    whole = build(tmp_path / 'whole', by_epoch, randomness={'seed': 3})
    whole.train()
    halves = killed_and_resumed(tmp_path / 'halves', by_epoch, 8, workers=1)
    assert halves[0] + halves[1] == whole.model.seen


def test_places_in_the_epoch_go_on(tmp_path):
    *_, places = killed_and_resumed(tmp_path, True, 8)
    assert places == [2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def test_mmengines_own_runner_would_repeat_the_epoch(tmp_path):
    """The reason for all this; when it fails, this module may go."""
    first = build(tmp_path, True, hooks=[Kill(8)], randomness={'seed': 3})
    with pytest.raises(KeyboardInterrupt):
        first.train()
    second = build(tmp_path, True, kind=Runner, resume=True)
    second._load_from = str(tmp_path / 'iter_8.pth')
    second.train()
    assert len(first.model.seen) + len(second.model.seen) == 20


def test_only_the_newest_checkpoint_is_kept_and_none_after_the_end(tmp_path):
    runner = build(tmp_path, True, hooks=[Kill(4)])
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']
    build(tmp_path, True).train()
    assert list(tmp_path.glob('*.pth')) == []


def test_a_clock_decides(tmp_path):
    hook = TimedCheckpointHook(60)
    runner = build(tmp_path, True)
    runner._hooks = [
        other for other in runner._hooks if not isinstance(other, TimedCheckpointHook)
    ]
    runner.register_hook(hook)
    runner.train()
    assert list(tmp_path.glob('*.pth')) == []
    with pytest.raises(ValueError, match='minutes=-1'):
        TimedCheckpointHook(-1)


def test_skipping_happens_once():
    batches = SkippedBatches([[0], [1], [2]], 2)
    assert list(batches) == [[2]]
    assert list(batches) == [[0], [1], [2]]
    assert len(batches) == 3
