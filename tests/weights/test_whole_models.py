"""Whole released files, heads included, into the models of today's libraries.

The key names of the heads are those of mmdet 2.x, mmseg 0.x and mmpose 0.x.
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.fixtures import read
from tests.tiny import TINY
from tests.weights.files import assert_holds, dense_weights, prefixed
from uniformer_backbones import load_official

ROOT = Path(__file__).parents[2]
TINY_BACKBONE = {
    'type': 'uniformer_backbones.UniFormer',
    'arch': TINY,
    'out_norm': 'layer',
}


def build(scope, config):
    __import__(f'{scope}.models')
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build(config)


def layer(name, *shape):
    """A convolution or linear layer: weight and bias."""
    outs = shape[1] if 'deconv' in name or 'upsample' in name else shape[0]
    return {f'{name}.weight': torch.randn(shape), f'{name}.bias': torch.randn(outs)}


def norm(name, width):
    entries = ('weight', 'bias', 'running_mean', 'running_var')
    values = {f'{name}.{entry}': torch.rand(width) for entry in entries}
    return {**values, f'{name}.num_batches_tracked': torch.tensor(9)}


def conv_norm(name, *shape):
    """mmcv's ConvModule: a convolution without bias, then BatchNorm."""
    return {f'{name}.conv.weight': torch.randn(shape), **norm(f'{name}.bn', shape[0])}


def mask_rcnn_heads(classes=80):
    """Neck and heads of a Mask R-CNN of mmdet 2.x on UniFormer-S."""
    heads = {}
    for level, width in enumerate((64, 128, 320, 512)):
        heads.update(layer(f'neck.lateral_convs.{level}.conv', 256, width, 1, 1))
        heads.update(layer(f'neck.fpn_convs.{level}.conv', 256, 256, 3, 3))
    heads.update(layer('rpn_head.rpn_conv', 256, 256, 3, 3))
    heads.update(layer('rpn_head.rpn_cls', 3, 256, 1, 1))
    heads.update(layer('rpn_head.rpn_reg', 12, 256, 1, 1))
    box, mask = 'roi_head.bbox_head', 'roi_head.mask_head'
    heads.update(layer(f'{box}.shared_fcs.0', 1024, 256 * 7 * 7))
    heads.update(layer(f'{box}.shared_fcs.1', 1024, 1024))
    heads.update(layer(f'{box}.fc_cls', classes + 1, 1024))
    heads.update(layer(f'{box}.fc_reg', 4 * classes, 1024))
    for index in range(4):
        heads.update(layer(f'{mask}.convs.{index}.conv', 256, 256, 3, 3))
    heads.update(layer(f'{mask}.upsample', 256, 256, 2, 2))
    heads.update(layer(f'{mask}.conv_logits', classes, 256, 1, 1))
    return heads


@pytest.fixture(scope='module')
def mask_rcnn():
    config = Config.fromfile(ROOT / 'configs' / 'det' / 'mask_rcnn_uniformer_s.py')
    return build('mmdet', config.model)


def detection_file(classes=80):
    shapes = read('det_small_hybrid14_224x328')['state_dict']
    backbone = {key: torch.rand(shape) for key, shape in shapes.items()}
    heads = mask_rcnn_heads(classes)
    state = {**prefixed(backbone, 'backbone.'), **heads}
    return {'meta': {'CLASSES': ('person',)}, 'state_dict': state, 'optimizer': {}}


def test_whole_detection_file_fills_the_mask_rcnn_of_the_config(mask_rcnn):
    file = detection_file()
    report = load_official(mask_rcnn, file)
    assert (report.dropped, report.new, report.inflated) == ([], [], [])
    state = file['state_dict']
    counters = 'num_batches_tracked'  # random here, but whole numbers in a model
    weights = {k: v for k, v in state.items() if not k.endswith(counters)}
    assert_holds(mask_rcnn, weights)
    assert len(report.loaded) == len(state)


def test_detection_heads_of_other_classes_stay_new(mask_rcnn):
    report = load_official(mask_rcnn, detection_file(classes=3))
    heads = ('bbox_head.fc_cls', 'bbox_head.fc_reg', 'mask_head.conv_logits')
    expected = sorted(f'roi_head.{h}.{p}' for h in heads for p in ('weight', 'bias'))
    assert sorted(report.new) == sorted(report.dropped) == expected


def test_backbone_alone_is_taken_from_a_detection_file():
    file = detection_file()
    model = MODELS.build(
        {
            'type': 'uniformer_backbones.UniFormer',
            'out_indices': (0, 1, 2, 3),
            'out_norm': 'layer',
        }
    )
    report = load_official(model, file)
    assert report.new == []
    assert sorted(report.dropped) == sorted(mask_rcnn_heads())


@pytest.mark.slow
def test_whole_segmentation_file_fills_an_encoder_decoder():
    head = {'num_classes': 7, 'norm_cfg': {'type': 'BN'}, 'align_corners': False}
    model = build(
        'mmseg',
        {
            'type': 'EncoderDecoder',
            'backbone': {**TINY_BACKBONE, 'out_indices': (0, 1, 2, 3)},
            'neck': {
                'type': 'FPN',
                'in_channels': [16, 32, 64, 64],
                'out_channels': 8,
                'num_outs': 4,
            },
            'decode_head': {
                'type': 'FPNHead',
                'in_channels': [8] * 4,
                'in_index': [0, 1, 2, 3],
                'feature_strides': [4, 8, 16, 32],
                'channels': 8,
                **head,
            },
            'auxiliary_head': {
                'type': 'FCNHead',
                'in_channels': 8,
                'in_index': 2,
                'channels': 8,
                'num_convs': 1,
                'concat_input': False,
                **head,
            },
            'test_cfg': {'mode': 'whole'},
        },
    )
    heads = {**layer('decode_head.conv_seg', 7, 8, 1, 1)}
    for level, width in enumerate((16, 32, 64, 64)):
        heads.update(layer(f'neck.lateral_convs.{level}.conv', 8, width, 1, 1))
        heads.update(layer(f'neck.fpn_convs.{level}.conv', 8, 8, 3, 3))
        # Each convolution but the finest level's is followed by an upsampling.
        for index in range(max(level, 1)):
            name = f'decode_head.scale_heads.{level}.{2 * index}'
            heads.update(conv_norm(name, 8, 8, 3, 3))
    heads.update(conv_norm('auxiliary_head.convs.0', 8, 8, 3, 3))
    heads.update(layer('auxiliary_head.conv_seg', 7, 8, 1, 1))
    file = {'state_dict': {**prefixed(dense_weights(), 'backbone.'), **heads}}
    report = load_official(model, file)
    assert (report.dropped, report.new) == ([], [])
    assert_holds(model, heads)


@pytest.mark.slow
def test_whole_pose_file_fills_a_top_down_estimator():
    codec = {
        'type': 'MSRAHeatmap',
        'input_size': (192, 256),
        'heatmap_size': (48, 64),
        'sigma': 2,
    }
    model = build(
        'mmpose',
        {
            'type': 'TopdownPoseEstimator',
            'backbone': TINY_BACKBONE,
            'head': {
                'type': 'HeatmapHead',
                'in_channels': 64,
                'out_channels': 17,
                'deconv_out_channels': (8, 8),
                'deconv_kernel_sizes': (4, 4),
                'loss': {'type': 'KeypointMSELoss'},
                'decoder': codec,
            },
        },
    )
    heads = layer('keypoint_head.final_layer', 17, 8, 1, 1)
    for index, width in ((0, 64), (3, 8)):  # transposed convolution, norm, ReLU
        name = f'keypoint_head.deconv_layers.{index}'
        heads[f'{name}.weight'] = torch.randn(width, 8, 4, 4)
        heads.update(norm(f'keypoint_head.deconv_layers.{index + 1}', 8))
    file = {'state_dict': {**prefixed(dense_weights(), 'backbone.'), **heads}}
    report = load_official(model, file)
    unused = [f'norm{s}.{name}' for s in (1, 2, 3) for name in ('weight', 'bias')]
    assert sorted(report.dropped) == unused or sorted(report.dropped) == sorted(unused)
    assert report.new == []
    ours = {
        key.replace('keypoint_head.', 'head.'): value for key, value in heads.items()
    }
    assert_holds(model, ours)
