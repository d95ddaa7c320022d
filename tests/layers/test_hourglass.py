"""Blocks with a class token, against the definition written out step by step."""

import pytest
import torch
from torch import nn

from projects.common.memory import PeakMemory
from tests.tiny import randomise
from uniformer_backbones.layers.hourglass import (
    ClassTokenBlock,
    ClassTokenMHRA,
    ShrinkingBlock,
    TokenState,
)

DIM, HEADS = 8, 2
SIZES = {2: (5, 6), 3: (2, 3, 5)}


def make_block(kind, ndim, **options):
    block = kind(DIM, ndim, 16, ClassTokenMHRA(DIM, DIM // HEADS), **options)
    return randomise(block).eval()


def make_inputs(size, batch=2):
    tokens = torch.Size(size).numel()
    scores = torch.rand(batch, tokens)
    return torch.randn(batch, *size, DIM), TokenState(
        torch.randn(batch, 1, DIM), scores
    )


def attention_map(attn, x):
    """Softmax of the products of queries and keys: ``(B, heads, L, L)``."""
    query, key, _ = attn.qkv(x).unflatten(-1, (3, HEADS, -1)).unbind(-3)
    logits = torch.einsum('bqhd,bkhd->bhqk', query, key) * (DIM // HEADS) ** -0.5
    return logits.softmax(-1)


def attend(attn, x):
    value = attn.qkv(x).unflatten(-1, (3, HEADS, -1)).unbind(-3)[2]
    out = torch.einsum('bhqk,bkhd->bqhd', attention_map(attn, x), value)
    return attn.proj(out.flatten(2))


def shrinking_reference(block, x, cls_token, scores):
    """Architecture 4.3, sample by sample, with sorted tokens as the official code."""
    x = x + block.pos_embed(x)
    g1, g2, g3 = (getattr(block, f'gamma_{i}', None) for i in (1, 2, 3))
    outs = []
    for tokens, token, g in zip(x.flatten(1, -2), cls_token, scores, strict=True):
        order = g.argsort(descending=True)
        count = int(len(g) * block.keep_ratio)
        tokens, g = tokens[order], g[order]
        dropped = g[count:] / g[count:].sum()
        merged = (tokens[count:] * dropped[:, None]).sum(0, keepdim=True)
        z = torch.cat([token, tokens[:count], merged])[None]
        row = attention_map(block.attn, block.norm1(z))[0, :, 0].mean(0)
        d1 = attend(block.attn, block.norm1(z))
        z = z + (d1 if g1 is None else g1 * d1)
        d2 = block.mlp.fc2(nn.functional.gelu(block.mlp.fc1(block.norm2(z))))
        z = z + (d2 if g2 is None else g2 * d2)
        fast = d1[0, -1] + d2[0, -1]
        if g3 is not None:
            fast = g3 * fast
        elif g1 is not None:
            fast = g1 * d1[0, -1] + g2 * d2[0, -1]
        a = block.trade_off
        g = torch.cat([(1 - a) * g[:count] + a * row[1:-1], g[count:]])
        tokens = torch.cat([z[0, 1:-1], tokens[count:] + fast])
        back = order.argsort()
        outs.append((tokens[back], z[0, :1], g[back]))
    tokens, token, g = (torch.stack(parts) for parts in zip(*outs, strict=True))
    return tokens.view(x.shape), token, g


def test_first_row_of_the_attention_is_the_mean_over_heads():
    attn, x = ClassTokenMHRA(DIM, DIM // HEADS), torch.randn(3, 7, DIM)
    out, row = attn(x)
    torch.testing.assert_close(row, attention_map(attn, x)[:, :, 0].mean(1))
    torch.testing.assert_close(out, attend(attn, x))
    torch.testing.assert_close(row.sum(1), torch.ones(3))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
def test_row_is_at_least_float32(dtype):
    attn, x = ClassTokenMHRA(DIM, 4).to(dtype), torch.randn(1, 5, DIM, dtype=dtype)
    assert attn(x)[1].dtype == (torch.float64 if dtype.itemsize == 8 else torch.float32)


def test_attention_of_a_large_map_keeps_no_product_of_tokens_with_tokens():
    attn, x = ClassTokenMHRA(DIM, 4), torch.randn(1, 4200, DIM, requires_grad=True)
    kept = []
    hooks = torch.autograd.graph.saved_tensors_hooks(
        lambda t: kept.append(t.numel()) or t, lambda t: t
    )
    with hooks:
        attn(x)
    assert max(kept) <= 3 * 4200 * DIM


def test_peak_of_a_step_stays_far_below_one_map_of_attention():
    tokens = 4200
    attn, x = ClassTokenMHRA(DIM, 4), torch.randn(1, tokens, DIM, requires_grad=True)
    with PeakMemory(x, *attn.parameters()) as memory:
        out, row = attn(x)
        (out.square().sum() + row.square().sum()).backward()
    assert memory.peak < tokens**2 * 4 / 20  # 4 bytes: the map of one head


@pytest.mark.parametrize('scale', [None, 0.5], ids=['plain', 'scaled'])
@pytest.mark.parametrize('first', [True, False])
def test_class_token_block_attends_among_all_tokens(ndim, first, scale):
    block = make_block(ClassTokenBlock, ndim, scale_init=scale, trade_off=0.25)
    x, state = make_inputs(SIZES[ndim])
    state = state._replace(scores=None) if first else state
    out, after = block(x, state)
    x = x + block.pos_embed(x)
    z = torch.cat([state.cls_token, x.flatten(1, -2)], dim=1)
    row = attention_map(block.attn, block.norm1(z))[:, :, 0].mean(1)[:, 1:]
    g1, g2 = (1, 1) if scale is None else (block.gamma_1, block.gamma_2)
    z = z + g1 * attend(block.attn, block.norm1(z))
    hidden = nn.functional.gelu(block.mlp.fc1(block.norm2(z)))
    z = z + g2 * block.mlp.fc2(hidden)
    torch.testing.assert_close(after.cls_token, z[:, :1])
    torch.testing.assert_close(out.flatten(1, -2), z[:, 1:])
    expected = row if first else 0.75 * state.scores + 0.25 * row
    torch.testing.assert_close(after.scores, expected)


@pytest.mark.parametrize('scale', [None, 0.5], ids=['plain', 'scaled'])
@pytest.mark.parametrize('keep_ratio', [0.5, 0.3, 0.9])
def test_shrinking_block_is_its_definition(ndim, keep_ratio, scale):
    block = make_block(
        ShrinkingBlock, ndim, keep_ratio=keep_ratio, scale_init=scale, trade_off=0.25
    )
    x, state = make_inputs(SIZES[ndim])
    out, after = block(x, state)
    expected = shrinking_reference(block, x, *state)
    for ours, theirs in zip((out, *after), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('size', [(1, 1), (1, 2), (2, 1), (1, 1, 1), (1, 1, 2)])
def test_one_or_two_tokens_are_never_taken_for_the_representative(size):
    block = make_block(ShrinkingBlock, len(size))
    x, state = make_inputs(size)
    out, after = block(x, state)
    expected = shrinking_reference(block, x, *state)
    for ours, theirs in zip((out, *after), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_only_images_have_a_third_layer_scale():
    def names(kind, ndim, scale):
        block = make_block(kind, ndim, scale_init=scale)
        return sorted(key for key in block.state_dict() if 'gamma' in key)

    two = ['gamma_1', 'gamma_2']
    assert names(ShrinkingBlock, 2, 0.1) == [*two, 'gamma_3']
    assert names(ShrinkingBlock, 3, 0.1) == two
    assert names(ClassTokenBlock, 2, 0.1) == two
    assert names(ShrinkingBlock, 2, None) == []
    block = ShrinkingBlock(DIM, 2, 16, ClassTokenMHRA(DIM, 4), scale_init=0.25)
    assert (block.gamma_3 == 0.25).all()


def test_dropped_tokens_are_updated_without_stochastic_depth():
    block = make_block(ShrinkingBlock, 2, drop_path=0.999).train()
    x, state = make_inputs((6, 6))
    out, _ = block(x, state)
    before = x + block.pos_embed(x)
    moved = (out - before).flatten(1, -2).abs().sum(-1) > 1e-6
    lowest = state.scores.argsort(1)[:, :18]  # the half that is dropped
    expected = torch.zeros(2, 36, dtype=torch.bool).scatter(1, lowest, True)
    assert torch.equal(moved, expected)


def test_shrinking_block_without_scores_is_refused():
    block = make_block(ShrinkingBlock, 2)
    x, state = make_inputs((2, 2))
    with pytest.raises(ValueError, match='needs scores'):
        block(x, state._replace(scores=None))


def test_scores_get_gradients_through_the_representative():
    block = make_block(ShrinkingBlock, 2)
    x, state = make_inputs((3, 4))
    scores = state.scores.requires_grad_()
    out, _ = block(x, state)
    out.square().sum().backward()
    dropped = scores.argsort(1)[:, :6]
    assert (scores.grad.gather(1, dropped) != 0).all()
