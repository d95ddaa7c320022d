"""Learning rates at given epochs, against the recipes' arithmetic and timm."""

from math import cos, pi

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS
from timm.scheduler import CosineLRScheduler

from projects.common.timm_cosine import TimmCosineLR

OFFICIAL = {'total': 300, 'warmup': 5, 'start_lr': 1e-6, 'eta_min': 1e-5}


def optimizer_of(*rates):
    groups = [{'params': [torch.zeros(1, requires_grad=True)], 'lr': r} for r in rates]
    return torch.optim.AdamW(groups)


def run(optimizer, scheduler, steps):
    """Rate of every group during each epoch (or step)."""
    rates = []
    for _ in range(steps):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


def rates_of(top, steps, **options):
    optimizer = optimizer_of(top)
    return [r for (r,) in run(optimizer, TimmCosineLR(optimizer, **options), steps)]


def test_plain_imagenet_lags_one_epoch():
    rates = rates_of(1e-3, 300, **OFFICIAL, lag=1)
    assert rates[:2] == [1e-6, 1e-6]
    assert rates[2] == pytest.approx(1e-6 + 0.000999 / 5)
    assert rates[5] == pytest.approx(1e-6 + 0.000999 * 4 / 5)
    assert rates[6] == pytest.approx(1e-5 + 0.00099 * (1 + cos(pi * 5 / 300)) / 2)
    assert rates[151] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[299] == pytest.approx(1e-5 + 0.00099 * (1 + cos(pi * 298 / 300)) / 2)
    assert rates == sorted(rates[:7]) + sorted(rates[7:], reverse=True)


def test_token_labeling_cools_down_for_ten_epochs():
    rates = rates_of(1.6e-3, 310, **OFFICIAL)
    assert rates[0] == 1e-6
    assert rates[1] == pytest.approx(1e-6 + (1.6e-3 - 1e-6) / 5)
    assert rates[150] == pytest.approx((1.6e-3 + 1e-5) / 2)
    assert rates[299] > 1e-5
    assert rates[300:] == [pytest.approx(1e-5)] * 10


def test_rates_are_timms():
    optimizer = optimizer_of(8e-4)
    timm = CosineLRScheduler(
        optimizer, t_initial=300, lr_min=1e-5, warmup_t=5, warmup_lr_init=1e-6
    )
    expected = []
    for epoch in range(310):
        timm.step(epoch)
        expected.append(optimizer.param_groups[0]['lr'])
    assert rates_of(8e-4, 310, **OFFICIAL) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize('warmup', [5, 20])
def test_openmixup_multiplies_warm_up_and_cosine_every_step(warmup):
    length, top = 10, 1e-3
    optimizer = optimizer_of(top)
    scheduler = PARAM_SCHEDULERS.build(
        {
            'type': 'TimmCosineLR',
            'total': 300,
            'warmup': warmup,
            'start_factor': 1e-6,
            'eta_min': 1e-5,
            'convert_to_iter_based': True,
        },
        default_args={'optimizer': optimizer, 'epoch_length': length},
    )
    assert not scheduler.by_epoch
    rates = [r for (r,) in run(optimizer, scheduler, 300 * length)]

    def cosine(epoch):
        return 1e-5 + (top - 1e-5) * (1 + cos(pi * epoch / 300)) / 2

    assert rates[0] == pytest.approx(top * 1e-6)
    half = warmup * length // 2
    assert rates[half] == pytest.approx(cosine(warmup / 2) * (0.5 + 0.5e-6))
    assert rates[warmup * length] == pytest.approx(cosine(warmup))
    assert rates[150 * length] == pytest.approx((top + 1e-5) / 2)


def test_each_group_has_its_own_top_and_a_run_goes_on_where_it_stopped():
    optimizer = optimizer_of(1e-3, 5e-4)
    whole = run(optimizer, TimmCosineLR(optimizer, **OFFICIAL), 20)
    assert whole[6][1] == pytest.approx(
        1e-5 + 0.00049 * (1 + cos(pi * 6 / 300)) / 2, rel=1e-9
    )

    optimizer = optimizer_of(1e-3, 5e-4)
    scheduler = TimmCosineLR(optimizer, **OFFICIAL)
    first = run(optimizer, scheduler, 8)
    states = optimizer.state_dict(), scheduler.state_dict()
    optimizer = optimizer_of(1e-3, 5e-4)
    scheduler = TimmCosineLR(optimizer, **OFFICIAL)
    optimizer.load_state_dict(states[0])
    scheduler.load_state_dict(states[1])
    assert first + run(optimizer, scheduler, 12) == whole


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'total': 10}, 'start_lr or start_factor'),
        ({'total': 10, 'start_lr': 0.1, 'start_factor': 0.1}, 'not both'),
        ({'total': 10, 'warmup': 10, 'start_lr': 0.1}, 'shorter than total=10'),
    ],
)
def test_settings_that_make_no_sense_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TimmCosineLR(optimizer_of(1.0), **options)
