"""The stored average: its arithmetic, and what a checkpoint holds of it."""

import pytest
import torch
from torch import nn

from projects.cls.ema import StoredEMAHook

DECAY = 0.9


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)


class Stub:
    """What the hook looks at of a Runner."""

    def __init__(self, model, resume=False):
        self.model, self.iter, self.epoch, self._resume = model, 0, 0, resume
        self.max_iters = self.max_epochs = 10


def hook_of(model, resume=False):
    hook, runner = StoredEMAHook(momentum=1 - DECAY), Stub(model, resume)
    hook.before_run(runner)
    return hook, runner


def set_all(model, value):
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            if tensor.is_floating_point():
                tensor.fill_(value)


def test_parameters_and_batch_norm_statistics_are_averaged():
    model = Normed()
    hook, runner = hook_of(model)
    for value in (1.0, 2.0, 4.0):
        set_all(model, value)
        hook.after_train_iter(runner, 0)
    # Starts at the first weights: 1, then 0.9 x 1 + 0.1 x 2, then 0.9 x 1.1 + 0.1 x 4.
    for name in ('weight', 'bias', 'running_mean', 'running_var'):
        average = getattr(hook.ema_model.module.norm, name)
        assert average.tolist() == pytest.approx([1.39] * 3)
        assert getattr(model.norm, name).tolist() == [4.0] * 3


def test_validation_and_checkpoints_see_the_raw_weights():
    model = Normed()
    hook, runner = hook_of(model)
    for value in (1.0, 2.0):
        set_all(model, value)
        hook.after_train_iter(runner, 0)
    for event in (hook.before_val_epoch, hook.before_test_epoch):
        event(runner)
        assert model.norm.weight.tolist() == [2.0] * 3
    checkpoint = {'state_dict': model.state_dict()}
    hook.before_save_checkpoint(runner, checkpoint)
    assert checkpoint['state_dict']['norm.weight'].tolist() == [2.0] * 3
    stored = checkpoint['ema_state_dict']['module.norm.running_var']
    assert stored.tolist() == pytest.approx([1.1] * 3)


@pytest.mark.parametrize('resume', [True, False])
def test_a_resumed_run_goes_on_with_its_average_and_a_new_one_starts_afresh(resume):
    model = Normed()
    hook, runner = hook_of(model)
    for value in (1.0, 2.0):
        set_all(model, value)
        hook.after_train_iter(runner, 0)
    checkpoint = {'state_dict': model.state_dict()}
    hook.before_save_checkpoint(runner, checkpoint)

    again = Normed()
    hook, runner = hook_of(again, resume)
    hook.after_load_checkpoint(runner, checkpoint)
    expected = 1.1 if resume else 2.0
    average = hook.ema_model.module.norm.weight
    assert average.tolist() == pytest.approx([expected] * 3)
    assert checkpoint['state_dict']['norm.weight'].tolist() == [2.0] * 3


def test_a_checkpoint_without_average_can_be_resumed():
    model = Normed()
    set_all(model, 3.0)
    hook, runner = hook_of(Normed(), resume=True)
    hook.after_load_checkpoint(runner, {'state_dict': model.state_dict()})
    assert hook.ema_model.module.norm.weight.tolist() == [3.0] * 3
