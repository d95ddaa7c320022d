"""What attention keeps in memory, what it copies, and in which precision it runs."""

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from tests.tiny import randomise
from uniformer_backbones.layers import relation
from uniformer_backbones.layers.relation import (
    EXPLICIT_ATTENTION_TOKENS,
    GlobalMHRA,
    WindowMHRA,
    scaled_dot_product,
)

LAYERS = {'global': lambda: GlobalMHRA(16, 8), 'window': lambda: WindowMHRA(16, 8, 4)}


def saved_bytes(layer, x):
    """Bytes that a forward pass keeps for backward, each storage once."""
    storages = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        out = layer(x)
    assert out.requires_grad
    return sum(storages.values())


@pytest.mark.parametrize('kind', LAYERS)
def test_memory_grows_linearly_with_the_tokens(kind):
    layer = LAYERS[kind]()
    small, large = (
        saved_bytes(layer, torch.randn(1, side, side, 16, requires_grad=True))
        for side in (32, 64)
    )
    # Four times the tokens; an N x N map of 2 heads would be 134 MB on top.
    assert large < 4.2 * small
    assert large < 4096 * 4 * 16 * 12


def spy(monkeypatch):
    """Record what reaches the fused kernel."""
    seen = []
    fused = relation.F.scaled_dot_product_attention

    def record(query, key, value, **options):
        seen.append((query, key, value))
        return fused(query, key, value, **options)

    monkeypatch.setattr(relation.F, 'scaled_dot_product_attention', record)
    return seen


@pytest.mark.parametrize('ndim', [2, 3])
def test_query_key_and_value_are_views_of_one_tensor(ndim, monkeypatch):
    seen = spy(monkeypatch)
    layer, made = GlobalMHRA(16, 8), []
    layer.qkv.register_forward_hook(lambda *args: made.append(args[-1]))
    layer(torch.randn(2, *(3, 8, 8)[3 - ndim :], 16))
    (parts,) = seen
    pointers = {part.untyped_storage().data_ptr() for part in parts}
    assert pointers == {made[0].untyped_storage().data_ptr()}


def test_windows_are_one_batch_of_views_and_have_no_mask(monkeypatch):
    seen = spy(monkeypatch)
    WindowMHRA(16, 8, 4)(torch.randn(2, 7, 10, 16))
    ((query, key, value),) = seen
    # 2 images of 8 x 12 padded tokens: 2 x 6 windows of 16 tokens, 2 heads.
    assert query.shape == key.shape == value.shape == (12, 2, 16, 8)
    pointers = {part.untyped_storage().data_ptr() for part in (query, key, value)}
    assert len(pointers) == 1


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('tokens', [5, EXPLICIT_ATTENTION_TOKENS])
def test_half_precision_equals_fused_attention_on_both_sides_of_the_limit(
    tokens, dtype, monkeypatch
):
    seen = spy(monkeypatch)
    query, key, value = torch.randn(3, 1, 2, tokens, 8).to(dtype)
    got = scaled_dot_product(query, key, value)
    assert got.dtype == dtype
    assert len(seen) == (tokens >= EXPLICIT_ATTENTION_TOKENS)
    parts = [part.float() for part in (query, key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(*parts)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(got.float(), expected, rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize('kind', LAYERS)
def test_attention_under_autocast_runs_in_half_precision(kind, monkeypatch):
    dtypes = []
    attend = relation.scaled_dot_product
    monkeypatch.setattr(
        relation,
        'scaled_dot_product',
        lambda *args: (dtypes.append(args[0].dtype), attend(*args))[1],
    )
    layer, x = randomise(LAYERS[kind]()), torch.randn(2, 7, 9, 16)
    expected = layer(x)
    with torch.autocast('cpu', torch.bfloat16):
        got = layer(x)
    assert dtypes == [torch.float32, torch.bfloat16]
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.05)
