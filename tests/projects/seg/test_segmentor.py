"""Heads computed anew in the backward pass: less memory and nothing else."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import projects.seg  # noqa: F401 - registers the segmentor
from projects.common.errors import UserError
from projects.seg.memory import measure
from tests.projects.seg.test_seg_task import config

SIZE = (2, 3, 64, 96)


@pytest.fixture(autouse=True)
def _root(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def build(name, kind):
    cfg = config(name).model
    cfg.type = kind
    cfg.backbone.with_cp = kind != 'EncoderDecoder'
    cfg.decode_head.channels = 32
    for part in ('decode_head', 'auxiliary_head'):
        if part in cfg:
            cfg[part].num_classes = 5
    init_default_scope('mmseg')
    return revert_sync_batchnorm(MODELS.build(cfg)).train()


def samples():
    labels = torch.randint(0, 5, (2, 1, *SIZE[2:]))
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def step(model, x, truth):
    """Losses, gradients and buffers, with the same dropout each time."""
    torch.manual_seed(3)
    losses = model(x, truth, mode='loss')
    total, shown = model.parse_losses(losses)
    total.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    return shown, gradients, dict(model.named_buffers())


@pytest.mark.parametrize('name', ['upernet_uniformer_s', 'fpn_uniformer_s'])
def test_losses_gradients_and_statistics_are_those_without(name):
    plain = build(name, 'EncoderDecoder')
    frugal = build(name, 'CheckpointedEncoderDecoder')
    frugal.load_state_dict(plain.state_dict())
    x, truth = torch.randn(SIZE), samples()
    for model in (frugal, copy.deepcopy(frugal)):  # a copy, as EMA makes
        expected = step(copy.deepcopy(plain), x, truth)
        for ours, theirs in zip(step(model, x, truth), expected, strict=True):
            assert ours.keys() == theirs.keys()
            for key, value in theirs.items():
                torch.testing.assert_close(ours[key], value, msg=key)
    plain.eval()
    frugal.load_state_dict(plain.state_dict())
    frugal.eval()
    torch.testing.assert_close(
        frugal(x, mode='tensor'), plain(x, mode='tensor'), rtol=0, atol=0
    )


def test_a_copy_computes_with_its_own_weights():
    frugal = build('fpn_uniformer_s', 'CheckpointedEncoderDecoder')
    other = copy.deepcopy(frugal)
    with torch.no_grad():
        for parameter in frugal.decode_head.parameters():
            parameter.fill_(torch.nan)
    losses = other(torch.randn(SIZE), samples(), mode='loss')
    assert losses['decode.loss_ce'].isfinite()


def test_heads_are_not_kept():
    cfg = config('upernet_uniformer_s')
    cfg.model.decode_head.channels = 32
    peaks = measure(cfg, (2, 3, 192, 192))
    whole, backbone = peaks['whole model'], peaks['backbone']
    assert backbone.checkpointed < backbone.fused <= backbone.materialised
    assert whole.checkpointed < 0.7 * whole.materialised
    # Both heads' log-softmax, of which one is there at a time.
    assert whole.fused - whole.checkpointed > 2 * 150 * 192**2 * 4 / 2**20


def test_another_segmentor_is_told_of():
    cfg = config()
    cfg.model.type = 'CascadeEncoderDecoder'
    with pytest.raises(UserError, match='no EncoderDecoder'):
        measure(cfg, SIZE)


@pytest.mark.slow
def test_peak_of_the_real_model_is_below_half():
    cfg = Config.fromfile('configs/seg/upernet_uniformer_s.py')
    peaks = measure(cfg, (2, 3, 256, 256))
    for peak in peaks.values():
        assert peak.checkpointed < peak.materialised / 2
