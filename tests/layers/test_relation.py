"""Relation aggregators equal loops written after the paper."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.tiny import input_gradient, randomise
from uniformer_backbones.layers.relation import GlobalMHRA, LocalMHRA, WindowMHRA

SIZES = {2: (7, 10), 3: (3, 7, 10)}


def naive_attention(layer, tokens):
    """Softmax attention of ``(L, C)``, one head and one token after another."""
    count, dim = tokens.shape
    heads = layer.num_heads
    qkv = (tokens @ layer.qkv.weight.T).view(count, 3, heads, dim // heads)
    if layer.qkv.bias is not None:
        qkv = qkv + layer.qkv.bias.view(3, heads, dim // heads)
    out = torch.empty(count, heads, dim // heads, dtype=tokens.dtype)
    for head in range(heads):
        query, key, value = qkv[:, 0, head], qkv[:, 1, head], qkv[:, 2, head]
        for token in range(count):
            scores = key @ query[token] * (dim // heads) ** -0.5
            out[token, head] = scores.softmax(0) @ value
    return layer.proj(out.view(count, dim))


def naive_windows(layer, x):
    """Cut, pad with zeros, attend, undo, crop: one window after another."""
    side, (height, width) = layer.window_size, x.shape[-3:-1]
    down, right = -height % side, -width % side
    padded = F.pad(x, (0, 0, 0, right, 0, down))
    out = torch.zeros_like(padded)
    for index in range(len(x)):
        for top in range(0, height + down, side):
            for left in range(0, width + right, side):
                where = (
                    index,
                    ...,
                    slice(top, top + side),
                    slice(left, left + side),
                    slice(None),
                )
                tokens = padded[where].reshape(-1, x.shape[-1])
                result = naive_attention(layer, tokens)
                out[where] = result.view(padded[where].shape)
    return out[..., :height, :width, :]


@pytest.mark.parametrize('qkv_bias', [True, False])
@pytest.mark.parametrize('head_dim', [4, 8])
def test_global_relation_equals_naive_attention(ndim, qkv_bias, head_dim):
    layer = randomise(GlobalMHRA(16, head_dim, qkv_bias)).double()
    x = torch.randn(2, *SIZES[ndim], 16, dtype=torch.float64)
    expected = [naive_attention(layer, row.flatten(0, -2)) for row in x]
    torch.testing.assert_close(layer(x), torch.stack(expected).view(x.shape))
    assert (layer.qkv.bias is not None) is qkv_bias


@pytest.mark.parametrize('qkv_bias', [True, False])
@pytest.mark.parametrize('side', [1, 3, 5, 14], ids=lambda side: f'side{side}')
def test_window_relation_equals_a_loop_that_pads_with_zeros(ndim, side, qkv_bias):
    # 14 is larger than the map, which then is padded to one whole window.
    layer = randomise(WindowMHRA(16, 8, side, qkv_bias)).double()
    x = torch.randn(2, *SIZES[ndim], 16, dtype=torch.float64)
    torch.testing.assert_close(layer(x), naive_windows(layer, x))


def test_padded_tokens_take_part_in_the_softmax_of_windows():
    # Values are the bias alone: without a mask an output is that bias everywhere.
    layer = WindowMHRA(4, 4, 4)
    with torch.no_grad():
        layer.qkv.weight[8:].zero_()
        layer.qkv.bias.copy_(torch.arange(12.0))
        layer.proj.weight.copy_(torch.eye(4))
        layer.proj.bias.zero_()
    out = layer(torch.randn(1, 3, 5, 4))
    torch.testing.assert_close(out, torch.arange(8.0, 12.0).expand_as(out))


def test_one_window_that_fits_equals_global_relation():
    window, whole = WindowMHRA(16, 8, 6), GlobalMHRA(16, 8)
    whole.load_state_dict(window.state_dict())
    x = torch.randn(2, 6, 6, 16)
    torch.testing.assert_close(window(x), whole(x))


def test_gradients_of_window_relation_equal_those_of_the_loop(ndim):
    layer = randomise(WindowMHRA(8, 4, 4)).double()
    x = torch.randn(1, *(2, 5, 6)[3 - ndim :], 8, dtype=torch.float64)
    gradient = input_gradient(layer, x)
    torch.testing.assert_close(
        gradient, input_gradient(lambda t: naive_windows(layer, t), x)
    )


def test_local_relation_is_three_convolutions_without_activation(ndim):
    layer = LocalMHRA(6, ndim, kernel_size=3)
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[ndim]
    reference = nn.ModuleDict(
        {
            'conv1': conv(6, 6, 1),
            'attn': conv(6, 6, 3, padding=1, groups=6),
            'conv2': conv(6, 6, 1),
        }
    )
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(2, 6, *SIZES[ndim])
    expected = reference['conv2'](reference['attn'](reference['conv1'](x)))
    torch.testing.assert_close(layer(x.movedim(1, -1)).movedim(-1, 1), expected)
    assert LocalMHRA(6, ndim).attn.kernel_size == (5,) * ndim


@pytest.mark.parametrize('layer', [GlobalMHRA(16, 8), WindowMHRA(16, 8, 4)])
def test_dropout_of_the_output_acts_in_training_only(layer):
    other = type(layer)(16, 8, *[4] * isinstance(layer, WindowMHRA), proj_drop=0.5)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(2, 8, 8, 16)
    torch.testing.assert_close(other.eval()(x), layer(x))
    out = other.train()(x)
    kept = out != 0
    assert 0.4 < kept.float().mean() < 0.6
    torch.testing.assert_close(out[kept], 2 * layer(x)[kept])


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_dropout_of_the_attention_map_acts_in_training_only(dtype):
    # All values equal: an output is the value times the sum of the kept weights.
    layer = GlobalMHRA(8, 8, attn_drop=0.25)
    with torch.no_grad():
        layer.qkv.weight.zero_()
        layer.qkv.bias.fill_(1.0)
        layer.proj.weight.copy_(torch.eye(8))
        layer.proj.bias.zero_()
    layer.to(dtype)
    x = torch.randn(64, 8, 8, 8, dtype=dtype)
    torch.testing.assert_close(layer.eval()(x), torch.ones_like(x))
    out = layer.train()(x).float()
    assert out.mean().item() == pytest.approx(1, abs=0.02)
    # 64 weights of 1/64, each kept with 3/4 and then scaled by 4/3.
    assert out[..., 0].std().item() == pytest.approx((1 / 64 / 3) ** 0.5, rel=0.1)


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: LocalMHRA(8, 2, 4), 'kernel_size must be odd, got 4'),
        (lambda: LocalMHRA(8, 4), 'ndim must be 2'),
        (lambda: GlobalMHRA(10, 3), '10 channels cannot be split into 3 heads'),
        (lambda: WindowMHRA(8, 8, 0), 'window_size must be positive, got 0'),
    ],
)
def test_wrong_arguments_are_refused_with_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_there_is_at_least_one_head():
    assert GlobalMHRA(16, 64).num_heads == 1
