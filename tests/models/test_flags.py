"""Each argument of the constructor at a value that is not the default."""

import pytest
import torch
from timm.layers import DropPath
from torch import nn

from tests.tiny import RELATIONS, TINY, make, make_dense, make_input, randomise
from uniformer_backbones import UniFormer
from uniformer_backbones.layers.block import DividedBlock
from uniformer_backbones.layers.relation import GlobalMHRA, WindowMHRA


def relations(blocks):
    return [type(block.attn).__name__[0] for block in blocks]


@pytest.mark.parametrize(
    ('attention', 'period', 'stage3'),
    [
        ('global', 4, 'GGGGGGGG'),
        ('window', 4, 'WWWWWWWW'),
        ('hybrid', 4, 'WWWGWWWG'),  # architecture 2.6: depth 8, global 3 and 7
        ('hybrid', 3, 'WWGWWGWW'),
        ('hybrid', 1, 'GGGGGGGG'),
    ],
)
def test_attention_chooses_the_blocks_of_stage_3_only(ndim, attention, period, stage3):
    model = UniFormer(
        {**TINY, 'depths': (1, 1, 8, 2)},
        ndim,
        attention=attention,
        hybrid_period=period,
        window_size=5,
    )
    assert relations(model.blocks3) == list(stage3)
    assert relations(model.blocks4) == ['G', 'G']
    windows = [m for m in model.modules() if isinstance(m, WindowMHRA)]
    assert all(window.window_size == 5 for window in windows)


def test_hybrid_of_a_deep_stage_has_a_global_block_in_four():
    model = UniFormer({**TINY, 'depths': (1, 1, 20, 1)}, attention='hybrid')
    found = [i for i, kind in enumerate(relations(model.blocks3)) if kind == 'G']
    assert found == [3, 7, 11, 15, 19]
    assert model.blocks3[0].attn.window_size == 14


def test_divided_attention_is_in_stages_3_and_4():
    model = UniFormer(TINY, 3, attention='divided')
    kinds = [type(block) for block in [*model.blocks3, *model.blocks4]]
    assert kinds == [DividedBlock] * 5
    block = model.blocks3[0]
    assert type(block.t_attn) is GlobalMHRA
    assert block.t_attn.num_heads == block.attn.num_heads == 4


@pytest.mark.parametrize('head_dim', [8, 32, 128])
def test_head_dim_overrides_that_of_the_arch(ndim, head_dim):
    model = UniFormer(TINY, ndim, head_dim=head_dim)
    assert model.blocks3[0].attn.num_heads == max(64 // head_dim, 1)
    assert model.blocks4[0].attn.num_heads == max(64 // head_dim, 1)


@pytest.mark.parametrize('channels', [1, 4])
def test_in_channels_is_that_of_the_first_embedding(ndim, channels):
    model = make_dense(ndim, in_channels=channels)
    assert model.patch_embed1.proj.weight.shape[1] == channels
    assert model(make_input(ndim, channels=channels))[0].shape[1] == 16
    with pytest.raises(ValueError, match=f'C={channels}'):
        model(make_input(ndim))


def test_temporal_overlap_spans_three_frames_and_keeps_time():
    model = make_dense(3, temporal_overlap=True)
    kernels = [getattr(model, f'patch_embed{s}').proj.weight.shape[2:] for s in (1, 2)]
    assert kernels == [(3, 4, 4), (3, 2, 2)]
    assert [out.shape[2] for out in model(make_input(3))] == [2] * 4
    plain = make_dense(3)
    assert plain.patch_embed2.proj.weight.shape[2:] == (1, 2, 2)


@pytest.mark.parametrize(
    ('scale', 'stages'), [('none', []), ('global', [3, 4]), ('all', [1, 2, 3, 4])]
)
def test_layer_scale_overrides_that_of_the_arch(ndim, scale, stages):
    arch = {**TINY, 'layer_scale': 'global' if scale == 'none' else 'none'}
    model = UniFormer(arch, ndim, layer_scale=scale, layer_scale_init=0.25)
    gammas = {k: v for k, v in model.named_parameters() if 'gamma' in k}
    assert sorted({int(key[6]) for key in gammas}) == stages
    assert all((value == 0.25).all() for value in gammas.values())
    default = UniFormer(arch, ndim, layer_scale='all')
    assert (default.blocks1[0].gamma_1 == 1e-6).all()


@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
def test_qkv_bias_can_be_left_out_everywhere(ndim, attention):
    model = make_dense(ndim, attention=attention, qkv_bias=False)
    assert not [key for key in model.state_dict() if key.endswith('qkv.bias')]
    assert all(out.isfinite().all() for out in model(make_input(ndim)))


def test_dropouts_reach_their_places(ndim):
    model = UniFormer(TINY, ndim, drop_rate=0.1, attn_drop_rate=0.2)
    assert model.pos_drop.p == 0.1
    drops = [m.p for m in model.modules() if isinstance(m, nn.Dropout)]
    # 7 blocks with one FFN each, 5 attentions with an output each, and the embedding.
    assert drops == [0.1] * (7 + 5 + 1)
    attentions = [m for m in model.modules() if isinstance(m, GlobalMHRA)]
    assert [m.attn_drop for m in attentions] == [0.2] * 5


def test_dropout_of_embeddings_follows_the_first_alone(ndim):
    model, calls = UniFormer(TINY, ndim, drop_rate=0.1), []
    model.pos_drop.register_forward_hook(lambda *args: calls.append(args[-1].shape[-1]))
    model(make_input(ndim))
    assert calls == [16]


@pytest.mark.parametrize('rate', ['drop_rate', 'attn_drop_rate', 'drop_path_rate'])
def test_random_regularisation_acts_in_training_only(ndim, rate):
    model = make_dense(ndim, **{rate: 0.5})
    x = make_input(ndim)
    assert torch.equal(model(x)[3], model(x)[3])
    for module in model.train().modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.eval()
    first, second = model(x), model(x)
    assert not torch.equal(first[3], second[3])
    # Attention dropout starts in stage 3, drop path after the first block of stage 1.
    same = {'drop_rate': 0, 'attn_drop_rate': 2, 'drop_path_rate': 1}[rate]
    equal = [torch.equal(a, b) for a, b in zip(first, second, strict=True)]
    assert equal == [index < same for index in range(4)]


def test_drop_path_grows_linearly_over_all_blocks(ndim):
    model = UniFormer(TINY, ndim, drop_path_rate=0.6)
    blocks = [b for s in (1, 2, 3, 4) for b in getattr(model, f'blocks{s}')]
    assert type(blocks[0].drop_path) is nn.Identity
    rates = [block.drop_path.drop_prob for block in blocks[1:]]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    plain = UniFormer(TINY, ndim)
    assert not [m for m in plain.modules() if isinstance(m, DropPath)]


def test_eps_of_blocks_and_of_embeddings_are_apart(ndim):
    for values in ({}, {'norm_eps': 1e-3, 'embed_eps': 1e-2}):
        model = make_dense(ndim, **values)
        norms = {k: m.eps for k, m in model.named_modules() if type(m) is nn.LayerNorm}
        embeddings = {eps for key, eps in norms.items() if 'patch_embed' in key}
        others = {eps for key, eps in norms.items() if 'patch_embed' not in key}
        assert embeddings == {values.get('embed_eps', 1e-5)}
        assert others == {values.get('norm_eps', 1e-6)}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'ndim': 4}, r'ndim must be 2 \(images\) or 3 \(clips\), got 4'),
        ({'attention': 'local'}, "global, window, hybrid, divided; got 'local'"),
        ({'attention': 'divided'}, 'need ndim=3, got ndim=2'),
        ({'temporal_overlap': True}, 'need ndim=3, got ndim=2'),
        ({'window_size': 0}, 'window_size must be a positive integer, got 0'),
        ({'window_size': 2.5}, 'window_size must be a positive integer, got 2.5'),
        ({'window_size': (7, 7)}, 'window_size must be a positive integer'),
        ({'window_size': True}, 'window_size must be a positive integer, got True'),
        ({'hybrid_period': 0}, 'hybrid_period must be a positive integer, got 0'),
        ({'head_dim': 0}, 'head_dim must be a positive integer, got 0'),
        ({'head_dim': 20}, '64 channels cannot be split into 3 heads'),
        ({'in_channels': 0}, 'in_channels must be a positive integer, got 0'),
        ({'layer_scale': 'local'}, "none, global, all; got 'local'"),
        ({'out_norm': 'BN'}, "batch, layer, none; got 'BN'"),
        ({'out_indices': ()}, r'distinct stages from 0 to 3 .* got \(\)'),
        ({'out_indices': 3}, 'distinct stages from 0 to 3 .* got 3'),
        ({'out_indices': (0, 4)}, r'distinct stages from 0 to 3 .* got \(0, 4\)'),
        ({'out_indices': (1, 0)}, r'ascending order, got \(1, 0\)'),
        ({'out_indices': (1, 1)}, r'distinct stages .* got \(1, 1\)'),
        ({'out_indices': (-1,)}, r'distinct stages .* got \(-1,\)'),
        ({'frozen_stages': 5}, 'frozen_stages must be -1 .* got 5'),
        ({'with_cp': (1, 2)}, r'bool or four numbers .* got \(1, 2\)'),
        ({'with_cp': 4}, 'bool or four numbers .* got 4'),
        ({'with_cp': (0, 0, -1, 0)}, 'bool or four numbers'),
    ],
)
def test_wrong_argument_is_refused_with_the_value_in_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as caught:
        UniFormer(TINY, **arguments)
    assert '\n' not in str(caught.value)


def test_layer_scale_of_one_model_does_not_leak_into_the_next():
    UniFormer(TINY, layer_scale='all')
    assert not [key for key in randomise(make()).state_dict() if 'gamma' in key]
