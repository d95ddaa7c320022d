"""Groups of the layer decay constructor, against arithmetic on a tiny backbone."""

import pytest
from mmengine.optim import build_optim_wrapper
from torch import nn

from projects.common import layer_decay
from uniformer_backbones import UniFormer

ARCH = {'depths': (1, 1, 2, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}
LR, DECAY, RATE = 1e-3, 0.05, 0.5
# Layers of depths 1, 1, 2, 1: the stem, five blocks, and what follows them.
LAYERS = {
    'backbone.patch_embed1.proj.weight': 0,
    'backbone.blocks1.0.pos_embed.weight': 1,
    'backbone.patch_embed2.proj.weight': 2,
    'backbone.blocks2.0.norm1.bias': 2,
    'backbone.patch_embed3.norm.weight': 3,
    'backbone.blocks3.0.attn.qkv.weight': 3,
    'backbone.blocks3.1.attn.qkv.weight': 4,
    'backbone.patch_embed4.proj.weight': 5,
    'backbone.blocks4.0.mlp.fc1.bias': 5,
    'backbone.norm.weight': 6,
    'head.weight': 6,
}


class Model(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.backbone = UniFormer(ARCH, **options)
        self.head = nn.Linear(32, 5)


def groups_of(model, **paramwise):
    wrapper = {
        'constructor': 'LayerDecayConstructor',
        'optimizer': {'type': 'AdamW', 'lr': LR, 'weight_decay': DECAY},
        'paramwise_cfg': paramwise,
    }
    return build_optim_wrapper(model, wrapper).optimizer.param_groups


def by_name(groups):
    return {name: group for group in groups for name in group['param_names']}


def test_rate_falls_by_a_constant_factor_from_block_to_block():
    found = by_name(groups_of(Model(), layer_decay_rate=RATE))
    for name, layer in LAYERS.items():
        assert found[name]['layer_id'] == layer
        assert found[name]['lr'] == pytest.approx(LR * RATE ** (6 - layer))


def test_rate_falls_from_stage_to_stage():
    groups = groups_of(Model(), layer_decay_rate=RATE, decay_type='stage_wise')
    found = by_name(groups)
    for name, layer in {
        'backbone.patch_embed1.norm.bias': 0,
        'backbone.blocks1.0.mlp.fc1.weight': 1,
        'backbone.patch_embed3.proj.weight': 3,
        'backbone.blocks3.1.attn.proj.bias': 3,
        'backbone.norm.bias': 5,
        'head.bias': 5,
    }.items():
        assert found[name]['lr'] == pytest.approx(LR * RATE ** (5 - layer))


@pytest.mark.parametrize('rate', [1.0, RATE])
def test_every_parameter_is_in_exactly_one_group_under_its_name(rate):
    model = Model()
    groups = groups_of(model, layer_decay_rate=rate)
    names = [name for group in groups for name in group['param_names']]
    params = [p for group in groups for p in group['params']]
    assert dict(zip(names, params, strict=True)) == dict(model.named_parameters())
    assert len(names) == len(set(names))


def test_weight_decay_spares_what_is_one_dimensional():
    rules = {'norm_decay_mult': 0.0, 'bias_decay_mult': 0.0, 'flat_decay_mult': 0.0}
    model = Model(layer_scale='all')
    groups = groups_of(model, **rules)
    assert [group['weight_decay'] for group in groups].count(0.0) == 1
    assert len(groups) == 2  # few and large: fast
    found = by_name(groups)
    for name, parameter in model.named_parameters():
        free = parameter.ndim == 1
        assert found[name]['weight_decay'] == (0.0 if free else DECAY), name
        assert found[name]['lr'] == LR
    # A convolution, so decayed, whatever the recipe's list of exceptions says.
    assert found['backbone.blocks1.0.pos_embed.weight']['weight_decay'] == DECAY
    # Layer scales of the convolutional blocks have four dimensions.
    assert found['backbone.blocks1.0.gamma_1']['weight_decay'] == DECAY
    assert found['backbone.blocks3.0.gamma_1']['weight_decay'] == 0.0


def test_custom_keys_of_mmengine_multiply_what_decay_leaves():
    keys = {'head': {'lr_mult': 10.0, 'decay_mult': 0.5}, 'blocks1': {'lr_mult': 2.0}}
    found = by_name(groups_of(Model(), layer_decay_rate=RATE, custom_keys=keys))
    assert found['head.weight']['lr'] == pytest.approx(10 * LR)
    assert found['head.weight']['weight_decay'] == pytest.approx(DECAY / 2)
    block = found['backbone.blocks1.0.pos_embed.weight']
    assert block['lr'] == pytest.approx(2 * LR * RATE**5)


def test_frozen_stages_are_in_no_group_and_the_log_says_so(monkeypatch):
    lines = []
    monkeypatch.setattr(
        layer_decay, 'print_log', lambda text, logger: lines.append(text)
    )
    model = Model(frozen_stages=2)
    groups = groups_of(model, layer_decay_rate=RATE)
    names = {name for group in groups for name in group['param_names']}
    assert not any('patch_embed2' in name or 'blocks1' in name for name in names)
    assert {group['layer_id'] for group in groups} == {3, 4, 5, 6}
    [text] = lines
    assert 'layer 3: lr 0.000125, weight decay 0.05' in text
    frozen = [p for p in model.parameters() if not p.requires_grad]
    total = sum(p.numel() for p in frozen)
    assert f'frozen: {len(frozen)} tensors of {total:,} values' in text


def test_the_log_counts_every_value(monkeypatch):
    lines = []
    monkeypatch.setattr(
        layer_decay, 'print_log', lambda text, logger: lines.append(text)
    )
    groups_of(nn.Linear(7, 5))
    assert lines == [
        'parameter groups\n  all layers: lr 0.001, weight decay 0.05, '
        '2 tensors of 40 values'
    ]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'layer_decay_rate': 0.0}, r'in \(0, 1\], got 0.0'),
        ({'layer_decay_rate': 1.5}, 'got 1.5'),
        ({'decay_type': 'width'}, 'layer_wise, stage_wise'),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        groups_of(Model(), **options)


def test_decay_without_a_backbone_is_refused():
    with pytest.raises(ValueError, match='no backbone'):
        groups_of(nn.Linear(2, 2), layer_decay_rate=0.9)
