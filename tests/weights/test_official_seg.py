"""Whole released segmentation files into the models of our configs.

Key names and shapes of the heads are those of mmseg 0.13 (its FPNHead, UPerHead and
FCNHead), those of the backbone are the fixture's; the values are generated.
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.fixtures import read
from tests.weights.files import assert_holds, prefixed
from tests.weights.test_whole_models import build, conv_norm, layer
from uniformer_backbones import load_official

ROOT = Path(__file__).parents[2]
WIDTHS = (64, 128, 320, 512)


def fpn_heads(classes=150):
    """Neck and head of Semantic FPN."""
    heads = layer('decode_head.conv_seg', classes, 128, 1, 1)
    for level, width in enumerate(WIDTHS):
        heads.update(layer(f'neck.lateral_convs.{level}.conv', 256, width, 1, 1))
        heads.update(layer(f'neck.fpn_convs.{level}.conv', 256, 256, 3, 3))
        # From stride 8 on every convolution is followed by an upsampling, which has a
        # number but no weights.
        for index in range(max(level, 1)):
            name = f'decode_head.scale_heads.{level}.{2 * index}'
            heads.update(conv_norm(name, 128, 256 if index == 0 else 128, 3, 3))
    return heads


def upernet_heads(classes=150):
    """Decode and auxiliary head of UPerNet."""
    heads = layer('decode_head.conv_seg', classes, 512, 1, 1)
    for index in range(4):  # pool scales 1, 2, 3, 6; number 0 is the pooling
        name = f'decode_head.psp_modules.{index}.1'
        heads.update(conv_norm(name, 512, 512, 1, 1))
    heads.update(conv_norm('decode_head.bottleneck', 512, 512 + 4 * 512, 3, 3))
    for level, width in enumerate(WIDTHS[:3]):
        name = f'decode_head.lateral_convs.{level}'
        heads.update(conv_norm(name, 512, width, 1, 1))
        heads.update(conv_norm(f'decode_head.fpn_convs.{level}', 512, 512, 3, 3))
    heads.update(conv_norm('decode_head.fpn_bottleneck', 512, 4 * 512, 3, 3))
    heads.update(conv_norm('auxiliary_head.convs.0', 256, 320, 3, 3))
    heads.update(layer('auxiliary_head.conv_seg', classes, 256, 1, 1))
    return heads


HEADS = {'fpn': fpn_heads, 'upernet': upernet_heads}


def released_file(method, **options):
    """What the release gives for S: ``meta`` and ``state_dict``, as mmcv writes it."""
    shapes = read('seg_small_hybrid32_224x328')['state_dict']
    backbone = {
        key: torch.rand(shape) if shape else torch.tensor(7)
        for key, shape in shapes.items()
    }
    state = {**prefixed(backbone, 'backbone.'), **HEADS[method](**options)}
    return {'meta': {'CLASSES': ('wall', 'sky'), 'iter': 80000}, 'state_dict': state}


def model_of(name):
    config = Config.fromfile(ROOT / f'configs/seg/{name}.py')
    config.model.backbone.init_cfg = None
    return build('mmseg', config.model)


@pytest.mark.parametrize('method', HEADS)
def test_whole_released_file_fills_the_model_of_the_config(method):
    file = released_file(method)
    model = model_of(f'{method}_uniformer_s')
    report = load_official(model, file)
    assert (report.dropped, report.new, report.inflated) == ([], [], [])
    assert_holds(model, file['state_dict'])


@pytest.mark.slow
@pytest.mark.parametrize('method', HEADS)
@pytest.mark.parametrize('layout', ['h14', 'h32', 'w32'])
def test_every_layout_takes_the_released_file_as_the_tools_load_it(method, layout):
    model = model_of(f'{method}_uniformer_s_{layout}')
    model.load_state_dict(released_file(method)['state_dict'], strict=True)


@pytest.mark.slow
@pytest.mark.parametrize('method', HEADS)
def test_heads_of_other_classes_stay_new(method):
    model = model_of(f'{method}_uniformer_s')
    report = load_official(model, released_file(method, classes=3))
    heads = {'fpn': ('decode_head',), 'upernet': ('decode_head', 'auxiliary_head')}
    expected = sorted(
        f'{head}.conv_seg.{part}'
        for head in heads[method]
        for part in ('weight', 'bias')
    )
    assert sorted(report.new) == sorted(report.dropped) == expected
