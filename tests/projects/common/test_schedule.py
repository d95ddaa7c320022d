"""The warm-up cosine against the arithmetic of the recipe."""

from math import cos, pi

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from projects.common.schedule import WarmupCosineLR


def wrapper(*rates):
    groups = [{'params': [torch.zeros(1, requires_grad=True)], 'lr': r} for r in rates]
    return OptimWrapper(torch.optim.AdamW(groups, lr=1e-4))


def rates(scheduler, steps):
    seen = []
    for _ in range(steps):
        seen.append([g['lr'] for g in scheduler.optimizer.param_groups])
        scheduler.optimizer.step()
        scheduler.step()
    return seen


def build(optimizer, **settings):
    return PARAM_SCHEDULERS.build(
        {'type': 'WarmupCosineLR', 'convert_to_iter_based': True, **settings},
        default_args={'optimizer': optimizer, 'epoch_length': 7},
    )


def test_rates_are_those_of_the_recipe_at_every_step():
    seen = rates(build(wrapper(4e-4), warmup=10, end=100), 700)
    for step, [rate] in enumerate(seen):
        epoch = step / 7
        if epoch < 10:
            expected = 1e-6 + (4e-4 - 1e-6) * epoch / 10
        else:
            turn = cos(pi * (epoch - 10) / 90)
            expected = 1e-6 + (4e-4 - 1e-6) * 0.5 * (1 + turn)
        assert rate == pytest.approx(expected)
    assert seen[0] == [1e-6]
    assert seen[70] == [4e-4]


def test_groups_keep_their_ratio_at_the_top():
    seen = rates(build(wrapper(1e-3, 1e-4), warmup=1, end=3), 21)
    # mmengine's wrapper adds a group of its own, with the default rate.
    assert seen[7][:2] == pytest.approx([1e-3, 1e-4])
    assert seen[14][:2] == pytest.approx([5.005e-4, 5.05e-5])


def test_it_goes_on_where_it_was_and_rests_after_its_end():
    whole = rates(build(wrapper(1e-4), warmup=1, end=4), 40)
    first = build(wrapper(1e-4), warmup=1, end=4)
    head = rates(first, 12)
    second = build(wrapper(1e-4), warmup=1, end=4)
    second.load_state_dict(first.state_dict())
    second.optimizer.param_groups[0]['lr'] = whole[12][0]
    assert head + rates(second, 28) == whole
    assert whole[28:] == [[pytest.approx(1e-6)]] * 12


def test_by_epoch_it_changes_after_epochs():
    scheduler = WarmupCosineLR(wrapper(1e-4), warmup=2, end=4)
    seen = [rate for [rate] in rates(scheduler, 4)]
    assert seen[:3] == pytest.approx([1e-6, 5.05e-5, 1e-4])


def test_a_warm_up_as_long_as_the_run_is_refused():
    with pytest.raises(ValueError, match='warmup=10'):
        WarmupCosineLR(wrapper(1e-4), warmup=10, end=10)
