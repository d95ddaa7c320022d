"""Whole released cascades into the models of our configs.

Key names and shapes of the heads are those of mmdet 2.11 (its CascadeRoIHead with
ConvFCBBoxHead and FCNMaskHead); Mask R-CNN is in ``test_whole_models``.
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.fixtures import read
from tests.weights.files import assert_holds, prefixed
from tests.weights.test_whole_models import (
    build,
    conv_norm,
    layer,
    mask_rcnn_heads,
)
from uniformer_backbones import load_official

ROOT = Path(__file__).parents[2]
STAGES = range(3)


def cascade_heads(classes=80):
    """Neck, RPN, three stages of a box head (4 conv, 1 fc) and a mask head."""
    single = mask_rcnn_heads(classes)
    heads = {k: v for k, v in single.items() if not k.startswith('roi_head.')}
    masks = {
        key.removeprefix('roi_head.mask_head.'): value
        for key, value in single.items()
        if key.startswith('roi_head.mask_head.')
    }
    for stage in STAGES:
        box = f'roi_head.bbox_head.{stage}'
        for index in range(4):
            heads.update(conv_norm(f'{box}.shared_convs.{index}', 256, 256, 3, 3))
        heads.update(layer(f'{box}.shared_fcs.0', 1024, 256 * 7 * 7))
        heads.update(layer(f'{box}.fc_cls', classes + 1, 1024))
        heads.update(layer(f'{box}.fc_reg', 4 * classes, 1024))
        values = {key: torch.rand_like(value) for key, value in masks.items()}
        heads.update(prefixed(values, f'roi_head.mask_head.{stage}.'))
    return heads


def released_file(name, classes=80):
    shapes = read('det_' + name)['state_dict']
    backbone = {
        key: torch.rand(shape) if shape else torch.tensor(7)
        for key, shape in shapes.items()
    }
    state = {**prefixed(backbone, 'backbone.'), **cascade_heads(classes)}
    return {'meta': {'CLASSES': ('person',), 'epoch': 36}, 'state_dict': state}


def model_of(name):
    config = Config.fromfile(ROOT / f'configs/det/{name}.py')
    config.model.backbone.init_cfg = None
    for head in config.model.roi_head.bbox_head:
        head.norm_cfg.type = 'BN'  # the names are those of SyncBN
    return build('mmdet', config.model)


@pytest.mark.parametrize(
    ('letter', 'fixture'),
    [
        ('s', 'small_hybrid14_224x328'),
        pytest.param('b', 'base_hybrid14_200x264', marks=pytest.mark.slow),
    ],
)
def test_whole_released_cascade_fills_the_model_of_the_config(letter, fixture):
    file = released_file(fixture)
    model = model_of(f'cascade_mask_rcnn_uniformer_{letter}_3x_ms')
    report = load_official(model, file)
    assert (report.dropped, report.new, report.inflated) == ([], [], [])
    assert_holds(model, file['state_dict'])
    model.load_state_dict(file['state_dict'], strict=True)  # as the tools load it


@pytest.mark.slow
def test_heads_of_other_classes_stay_new():
    model = model_of('cascade_mask_rcnn_uniformer_s_3x_ms')
    report = load_official(model, released_file('small_hybrid14_224x328', classes=3))
    expected = sorted(
        f'roi_head.{head}.{part}'
        for stage in STAGES
        for head in (
            f'bbox_head.{stage}.fc_cls',
            f'bbox_head.{stage}.fc_reg',
            f'mask_head.{stage}.conv_logits',
        )
        for part in ('weight', 'bias')
    )
    assert sorted(report.new) == sorted(report.dropped) == expected
