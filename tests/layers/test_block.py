"""Blocks: DPE, relation aggregator, FFN, with their residuals."""

from functools import partial

import pytest
import torch
from torch import nn

from tests.tiny import randomise
from uniformer_backbones.layers.block import FFN, DividedBlock, GlobalBlock, LocalBlock
from uniformer_backbones.layers.nd import PointwiseConv, batch_norm_nd
from uniformer_backbones.layers.relation import GlobalMHRA, WindowMHRA

DIM = 8
SIZES = {2: (6, 7), 3: (3, 6, 7)}
NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def make_block(kind, ndim, **options):
    attn = partial(GlobalMHRA, DIM, 4)
    blocks = {
        'local': lambda: LocalBlock(DIM, ndim, 16, **options),
        'global': lambda: GlobalBlock(DIM, ndim, 16, attn(), **options),
        'window': lambda: GlobalBlock(DIM, ndim, 16, WindowMHRA(DIM, 4, 4), **options),
        'divided': lambda: DividedBlock(DIM, ndim, 16, attn(), attn(), **options),
    }
    return randomise(blocks[kind]())


def kinds(*names):
    return [(kind, ndim) for kind in names for ndim in (2, 3)]


ALL = [*kinds('local', 'global', 'window'), ('divided', 3)]


def to_map(x):
    return x.movedim(-1, 1)


def gamma(block, index):
    vector = getattr(block, f'gamma_{index}')
    return 1.0 if vector is None else vector.flatten()


def in_channels_last(norm, x):
    return norm(to_map(x)).movedim(1, -1)


def global_reference(block, x):
    """Architecture 2.3, a line a line."""
    x = x + block.pos_embed(x)
    x = x + gamma(block, 1) * block.attn(block.norm1(x))
    hidden = nn.functional.gelu(block.mlp.fc1(block.norm2(x)))
    return x + gamma(block, 2) * block.mlp.fc2(hidden)


def local_reference(block, x):
    """Architecture 2.2."""
    x = x + block.pos_embed(x)
    mixed = block.conv2(block.attn(block.conv1(in_channels_last(block.norm1, x))))
    x = x + gamma(block, 1) * mixed
    hidden = block.mlp.fc1(in_channels_last(block.norm2, x))
    return x + gamma(block, 2) * block.mlp.fc2(nn.functional.gelu(hidden))


def divided_reference(block, x):
    """Architecture 5.3; attention over time at each position, over space per frame."""
    x = x + block.pos_embed(x)
    over_time = torch.empty_like(x)
    for row in range(x.shape[2]):
        for col in range(x.shape[3]):
            along = x[:, :, row, col]
            over_time[:, :, row, col] = along + block.t_attn(block.t_norm(along))
    frames = [block.attn(block.norm1(over_time[:, t])) for t in range(x.shape[1])]
    y = x + gamma(block, 1) * torch.stack(frames, 1)  # the residual is x
    return y + gamma(block, 2) * block.mlp(block.norm2(y))


REFERENCES = {
    'local': local_reference,
    'global': global_reference,
    'window': global_reference,
    'divided': divided_reference,
}


@pytest.mark.parametrize('scale_init', [None, 0.5], ids=['plain', 'layer_scale'])
@pytest.mark.parametrize(('kind', 'ndim'), ALL)
def test_block_follows_its_definition(kind, ndim, scale_init):
    block = make_block(kind, ndim, scale_init=scale_init).eval()
    x = torch.randn(2, *SIZES[ndim], DIM)
    torch.testing.assert_close(
        block(x), REFERENCES[kind](block, x), rtol=1e-5, atol=1e-5
    )
    assert block(x).is_contiguous()


@pytest.mark.parametrize(('kind', 'ndim'), ALL)
def test_layer_scale_has_the_official_shape_and_initial_value(kind, ndim):
    attn = GlobalMHRA(DIM, 4)
    block = {
        'local': lambda: LocalBlock(DIM, ndim, 16, scale_init=1e-6),
        'divided': lambda: DividedBlock(DIM, ndim, 16, attn, attn, scale_init=1e-6),
    }.get(kind, lambda: GlobalBlock(DIM, ndim, 16, attn, scale_init=1e-6))()
    shape = (1, DIM, *(1,) * ndim) if kind == 'local' else (DIM,)
    for vector in (block.gamma_1, block.gamma_2):
        assert tuple(vector.shape) == shape
        assert torch.equal(vector, torch.full(shape, 1e-6))


def test_layer_scale_of_zero_is_a_layer_scale_and_none_is_none():
    assert torch.equal(
        LocalBlock(DIM, 2, 16, scale_init=0.0).gamma_1.sum(), torch.tensor(0.0)
    )
    assert LocalBlock(DIM, 2, 16).gamma_1 is None
    assert 'gamma_1' not in LocalBlock(DIM, 2, 16).state_dict()


@pytest.mark.parametrize('eps', [1e-6, 1e-2])
def test_eps_reaches_every_layer_norm_of_a_block(eps):
    block = make_block('divided', 3, eps=eps)
    norms = [m for m in block.modules() if isinstance(m, nn.LayerNorm)]
    assert [norm.eps for norm in norms] == [eps] * 3


def test_norms_of_local_blocks_are_batch_norms_with_the_defaults(ndim):
    block = make_block('local', ndim)
    for norm in (block.norm1, block.norm2):
        assert type(norm) is NORMS[ndim] is batch_norm_nd(ndim)
        assert (norm.eps, norm.momentum) == (1e-5, 0.1)


@pytest.mark.parametrize(('kind', 'ndim'), kinds('local', 'global', 'window'))
def test_drop_path_drops_whole_samples_and_rescales_the_others(kind, ndim):
    block = make_block(kind, ndim, drop_path=0.5)
    same = make_block(kind, ndim)
    same.load_state_dict(block.state_dict())
    x = torch.randn(64, *(2, 3, 3)[3 - ndim :], DIM)
    torch.testing.assert_close(block.eval()(x), same.eval()(x))
    with torch.no_grad():  # only the FFN branch is left, and it is the same everywhere
        for part in (block.pos_embed, getattr(block, 'conv2', None) or block.attn.proj):
            part.weight.zero_()
            part.bias.zero_()
        block.mlp.fc2.weight.zero_()
        block.mlp.fc2.bias.fill_(1.0)
    added = (block.train()(x) - x).flatten(1)
    # Kept with probability 1/2, then times 2: per sample all 0 or all 2.
    dropped = added.abs().amax(1) < 1e-5
    torch.testing.assert_close(added[~dropped], torch.full_like(added[~dropped], 2.0))
    assert 16 < dropped.sum() < 48


def test_drop_path_of_divided_attention_is_per_frame_in_space_and_per_sample_in_ffn():
    block = make_block('divided', 3, drop_path=0.5).train()
    with torch.no_grad():
        for part in (block.pos_embed, block.attn.proj, block.mlp.fc2):
            part.weight.zero_()
            part.bias.zero_()
        block.attn.proj.bias.fill_(1.0)
        block.mlp.fc2.bias.fill_(10.0)
    x = torch.randn(32, 4, 3, 3, DIM)
    added = (block(x) - x).round()
    assert set(added.unique().tolist()) == {0.0, 2.0, 20.0, 22.0}
    spatial, ffn = added % 20, added >= 20
    assert torch.equal(spatial, spatial[:, :, :1, :1, :1].expand_as(spatial))
    assert torch.equal(ffn, ffn[:, :1, :1, :1, :1].expand_as(ffn))
    frames = spatial[:, :, 0, 0, 0]
    assert (frames.amin(1) != frames.amax(1)).any()


def test_no_drop_path_is_an_identity():
    assert type(make_block('local', 2).drop_path) is nn.Identity


@pytest.mark.parametrize('linear', [nn.Linear, partial(PointwiseConv, ndim=2)])
def test_ffn_drops_after_both_layers_in_training_only(linear):
    ffn = FFN(4, 4, linear, drop=0.5)
    with torch.no_grad():
        for layer in (ffn.fc1, ffn.fc2):
            layer.weight.zero_()
            layer.bias.fill_(1.0)
    x = torch.randn(8, 8, 8, 4)
    assert torch.equal(ffn.eval()(x), torch.ones_like(x))
    out = ffn.train()(x)
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert 0.4 < (out > 0).float().mean() < 0.6
