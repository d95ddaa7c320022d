"""Published parameters and FLOPs, and the counting rule behind the tool's numbers."""

import json
import re
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.complexity import measure
from projects.common.errors import UserError
from projects.common.flops import explicit_attention, formulas
from uniformer_backbones import UniFormer
from uniformer_backbones.layers import relation
from uniformer_backbones.models.arch import find_arch

ROOT = Path(__file__).resolve().parents[3]
ZOO = json.loads((ROOT / 'tests/data/zoo_figures.json').read_text())
TINY = {'depths': (1, 1, 4, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}


def classifier(**backbone):
    width = find_arch(backbone['arch']).embed_dims[-1]
    return Config(
        {
            'default_scope': 'mmpretrain',
            'model': {
                'type': 'ImageClassifier',
                'backbone': {'type': 'uniformer_backbones.UniFormer', **backbone},
                'neck': {'type': 'GlobalAveragePooling'},
                'head': {
                    'type': 'LinearClsHead',
                    'num_classes': 1000,
                    'in_channels': width,
                },
            },
        }
    )


@cache
def measured(config, arch, head_dim, size, stage3=None):
    if config:
        return measure(Config.fromfile(ROOT / config), size)
    backbone = {'arch': arch, 'head_dim': head_dim}
    if stage3:
        row = vars(find_arch(arch))
        depths = (*row['depths'][:2], stage3, row['depths'][3])
        backbone['arch'] = {**row, 'depths': depths}
    return measure(classifier(**backbone), size)


def agrees(value, published, tolerance):
    """Within the tolerance, or equal to the published figure's last digit."""
    digit = Decimal(str(published)).as_tuple().exponent
    allowed = max(tolerance * published, 0.5 * 10**digit)
    return abs(value - published) <= allowed


@pytest.mark.parametrize('row', ZOO['rows'], ids=lambda row: row['id'])
def test_published_figures_are_met_or_the_deviation_is_explained(row):
    key = (row.get('config'), row.get('arch'), row.get('head_dim'), tuple(row['size']))
    found = measured(*key)
    assert agrees(found.params / 1e6, row['params_M'], 0.01)
    flops = found.flops
    if 'deviation' in row:
        assert not agrees(flops / 1e9, row['flops_G'], 0.02)
        assert ZOO['deviations'][row['deviation']]
    if row.get('deviation') == 'without attention':
        flops -= found.attention_flops
    if row.get('deviation') == 'stage 3 of 10 blocks':
        flops = measured(*key, stage3=10).flops
    assert agrees(flops / 1e9, row['flops_G'], 0.02)


def test_no_row_and_no_deviation_is_left_over():
    used = {row['deviation'] for row in ZOO['rows'] if 'deviation' in row}
    assert used == set(ZOO['deviations'])
    ids = [row['id'] for row in ZOO['rows']]
    assert len(ids) == len(set(ids)) == 29  # 23 plain classifiers, 6 plain detectors


def test_video_costs_167_g_for_four_clips_of_16_frames():
    backbone = {'type': 'uniformer_backbones.UniFormer', 'ndim': 3}
    model = {'type': 'Recognizer3D', 'backbone': backbone}
    cfg = Config({'default_scope': 'mmaction', 'model': model})
    assert 4 * measure(cfg, (16, 224)).flops / 1e9 == pytest.approx(167, rel=0.02)


def count(model, x):
    counter = FlopCounterMode(display=False, custom_mapping=formulas())
    with torch.no_grad(), explicit_attention(), counter:
        model(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize('attention', ['global', 'hybrid'])
def test_count_does_not_depend_on_device_dtype_or_attention_kernel(
    attention, monkeypatch
):
    model = UniFormer(TINY, attention=attention, window_size=3, out_norm='none').eval()
    x = torch.rand(1, 3, 64, 96)
    expected = count(model, x)  # the fused kernel of the CPU
    assert count(model.bfloat16(), x.bfloat16()) == expected  # plain matrix products
    monkeypatch.setattr(relation, 'EXPLICIT_ATTENTION_TOKENS', 0)
    assert count(model, x.bfloat16()) == expected  # fused
    assert count(model.to('meta'), x.to('meta').bfloat16()) == expected


def test_counts_are_the_arithmetic_of_the_layers():
    assert count(nn.Conv2d(3, 8, 3), torch.rand(2, 3, 10, 10)) == 2 * 8 * 8 * 8 * 27
    assert count(nn.ConvTranspose2d(4, 6, 2, 2), torch.rand(1, 4, 5, 5)) == 25 * 4 * 24
    assert count(nn.Linear(7, 5), torch.rand(3, 4, 7)) == 12 * 35
    grouped = nn.Conv3d(8, 8, 3, padding=1, groups=8)
    assert count(grouped, torch.rand(1, 8, 2, 4, 4)) == 32 * 8 * 27
    mha = nn.MultiheadAttention(16, 2, batch_first=True).eval()
    tokens = 5
    products = 2 * tokens * tokens * 16
    x = torch.rand(1, tokens, 16)
    projections = 4 * tokens * 16 * 16
    assert count(_SelfAttention(mha), x) == projections + products


class _SelfAttention(nn.Module):
    def __init__(self, mha):
        super().__init__()
        self.mha = mha

    def forward(self, x):
        return self.mha(x, x, x, need_weights=False)[0]


def test_parts_add_up_to_the_whole_and_name_the_stages():
    found = measure(classifier(arch=TINY), (64, 64))
    assert sum(part.params for part in found.parts) == found.params
    assert sum(part.flops for part in found.parts) == found.flops
    names = [part.name for part in found.parts if part.group == 'backbone']
    assert names == [f'patch_embed{s} + blocks{s}' for s in (1, 2, 3, 4)] + [
        'output norms'
    ]
    # Stage 4 at 2 x 2: patches, then DPE, qkv + proj, FFN and two products of a block.
    stage = 4 * 4 * 24 * 32 + 4 * (9 * 32 + 12 * 32 * 32) + 2 * 4 * 4 * 32
    assert found.parts[3].flops == stage


def test_model_that_needs_values_runs_on_the_cpu(monkeypatch):
    expected = measure(classifier(arch=TINY), (64, 64))
    original = UniFormer.forward

    def forward(self, x):
        assert x.sum().item() == 0  # impossible without values
        return original(self, x)

    monkeypatch.setattr(UniFormer, 'forward', forward)
    assert measure(classifier(arch=TINY), (64, 64)) == expected


@pytest.mark.parametrize(
    ('scope', 'pipeline', 'size'),
    [
        ('mmdet', [{'type': 'Resize', 'scale': (1333, 800)}], (800, 1280)),
        ('mmdet', [{'type': 'mmdet.Resize', 'scale': (640, 480)}], (480, 640)),
        ('mmseg', [{'type': 'Resize', 'scale': (2048, 512)}], (512, 2048)),
        ('mmpose', [{'type': 'TopdownAffine', 'input_size': (192, 256)}], (256, 192)),
        ('mmpretrain', [{'type': 'CenterCrop', 'crop_size': 384}], (384, 384)),
        (
            'mmaction',
            [
                {'type': 'SampleFrames', 'clip_len': 16, 'num_clips': 4},
                {'type': 'Resize', 'scale': (-1, 256)},
                {'type': 'ThreeCrop', 'crop_size': 224},
            ],
            (16, 224, 224),
        ),
        (
            'mmaction',
            [
                {'type': 'SampleFrames', 'clip_len': 8},
                {'type': 'Resize', 'scale': (-1, 256)},
            ],
            (8, 256, 256),
        ),
        (
            'mmaction',
            [
                {
                    'type': 'SampleVideo',
                    'sample': {'type': 'DenseSample', 'clip_len': 16},
                },
                {'type': 'CenterCrop', 'crop_size': 160},
            ],
            (16, 160, 160),
        ),
    ],
)
def test_default_size_is_that_of_the_test_pipeline(scope, pipeline, size):
    from projects.common.input_size import default_size

    cfg = {
        'default_scope': scope,
        'model': {'type': 'Recognizer3D'},
        'test_dataloader': {'dataset': {'pipeline': pipeline}},
    }
    assert default_size(Config(cfg)) == size


@pytest.mark.parametrize(
    ('size', 'message'),
    [
        ((16, 224, 224), '--shape 16 224 224: needs HEIGHT WIDTH'),
        ((0, 224), 'needs HEIGHT WIDTH'),
        ((16, 16), 'cannot run at 16 x 16: .*at least 32'),
        (None, 'its test pipeline names no input size; give --shape'),
    ],
)
def test_impossible_size_is_one_line(size, message):
    with pytest.raises(UserError) as caught:
        measure(classifier(arch=TINY), size)
    assert re.search(message, str(caught.value))
    assert '\n' not in str(caught.value)


def test_config_without_a_model_or_known_scope_is_one_line():
    with pytest.raises(UserError, match='no model or no default_scope'):
        measure(Config({'model': {}}))
    with pytest.raises(UserError, match="'mmfoo' is none of mmdet"):
        measure(Config({'default_scope': 'mmfoo', 'model': {'type': 'X'}}))
