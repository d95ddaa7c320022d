"""Deformable convolutions and deformable attention through ``mmcv.ops``."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch.autograd import gradcheck

import uniformer_backbones.compat as compat

compat.install()

from mmcv import ops  # noqa: E402
from mmcv.ops.multi_scale_deform_attn import (  # noqa: E402
    MultiScaleDeformableAttnFunction,
)

from tests.compat.op_inputs import FALLBACK_ONLY, HALVES  # noqa: E402

pytestmark = FALLBACK_ONLY

# Stride, padding, dilation, groups, deformable groups; unequal sides where they may be.
GEOMETRIES = [
    (1, 1, 1, 1, 1),
    ((2, 1), (1, 2), (1, 2), 2, 1),
    (1, (2, 1), (2, 1), 1, 2),
    ((1, 2), 1, 1, 2, 2),
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def operands(geometry, dtype=torch.float64, batch=2, side=5):
    stride, padding, dilation, groups, deform = geometry
    x = torch.randn(batch, 4, side, side + 1, dtype=dtype)
    weight = torch.randn(4, 4 // groups, 3, 2, dtype=dtype)
    plain = F.conv2d(x, weight, None, stride, padding, dilation, groups)
    shape = plain.shape[-2:]
    offset = torch.randn(batch, 2 * deform * 6, *shape, dtype=dtype) * 0.7
    mask = torch.rand(batch, deform * 6, *shape, dtype=dtype)
    return x, offset, mask, weight, torch.randn(4, dtype=dtype)


def torchvision_result(x, offset, mask, weight, bias, geometry):
    stride, padding, dilation, _, _ = geometry  # groups follow from the shapes
    return torchvision.ops.deform_conv2d(
        x, offset, weight, bias, stride, padding, dilation, mask
    )


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_without_offset_it_is_a_convolution(geometry):
    x, offset, mask, weight, bias = operands(geometry)
    expected = F.conv2d(x, weight, bias, *geometry[:4])
    zero, one = torch.zeros_like(offset), torch.ones_like(mask)
    got = ops.modulated_deform_conv2d(x, zero, one, weight, bias, *geometry)
    torch.testing.assert_close(got, expected)
    got = ops.deform_conv2d(x, zero, weight, *geometry)
    torch.testing.assert_close(got, expected - bias[:, None, None])


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_whole_offset_shifts_the_samples(geometry):
    x, offset, _, weight, _ = operands(geometry)
    x[:, :, 0] = 0.0  # the row that leaves the map below
    # Every sample one row down is the same as the map moved one row up.
    offset.zero_()[:, 0::2] = 1.0
    moved = F.pad(x[:, :, 1:], (0, 0, 0, 1))
    expected = F.conv2d(moved, weight, None, *geometry[:4])
    got = ops.deform_conv2d(x, offset, weight, *geometry)
    torch.testing.assert_close(got, expected)


@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('with_bias', [True, False])
def test_modulated_convolution_matches_torchvision(geometry, with_bias):
    tensors = [t.requires_grad_() for t in operands(geometry)]
    x, offset, mask, weight, bias = tensors
    used = bias if with_bias else None
    got = ops.modulated_deform_conv2d(x, offset, mask, weight, used, *geometry)
    expected = torchvision_result(x, offset, mask, weight, used, geometry)
    torch.testing.assert_close(got, expected)
    seed = torch.rand_like(got)
    wanted = tensors if with_bias else tensors[:4]
    for ours, theirs in zip(
        torch.autograd.grad(got, wanted, seed),
        torch.autograd.grad(expected, wanted, seed),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('geometry', GEOMETRIES)
@pytest.mark.parametrize('step', [1, 32])
def test_plain_convolution_matches_torchvision(geometry, step):
    tensors = [t.requires_grad_() for t in operands(geometry)]
    x, offset, _, weight, _ = tensors
    got = ops.deform_conv2d(x, offset, weight, *geometry, False, step)
    expected = torchvision_result(x, offset, None, weight, None, geometry)
    torch.testing.assert_close(got, expected)
    seed, wanted = torch.rand_like(got), [x, offset, weight]
    for ours, theirs in zip(
        torch.autograd.grad(got, wanted, seed),
        torch.autograd.grad(expected, wanted, seed),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('geometry', GEOMETRIES)
def test_convolutions_pass_gradcheck(geometry):
    tensors = operands(geometry, batch=1, side=3)
    # Off the lattice, where bilinear sampling has no derivative.
    offset = tensors[1].fill_(0.3) + torch.rand_like(tensors[1]) * 0.3
    x, mask, weight, bias = (t.requires_grad_() for t in tensors[:1] + tensors[2:])
    offset.requires_grad_()
    assert gradcheck(
        lambda *t: ops.modulated_deform_conv2d(*t, *geometry),
        (x, offset, mask, weight, bias),
    )
    assert gradcheck(lambda *t: ops.deform_conv2d(*t, *geometry), (x, offset, weight))


@pytest.mark.parametrize('dtype', HALVES)
def test_convolution_layers_in_half_precision(dtype):
    layer = ops.ModulatedDeformConv2dPack(4, 4, 3, padding=1)
    x = torch.randn(1, 4, 5, 5)
    expected = layer(x)
    half = ops.ModulatedDeformConv2dPack(4, 4, 3, padding=1).to(dtype)
    half.load_state_dict(layer.state_dict())
    got = half(x.to(dtype))
    assert got.dtype == dtype
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.05)
    got.sum().backward()
    assert all(p.grad.isfinite().all() for p in half.parameters())


def test_empty_batch_of_a_layer_is_refused_by_mmcv_as_ever():
    layer = ops.ModulatedDeformConv2d(4, 4, 3, padding=1)
    offset, mask = torch.zeros(0, 18, 5, 5), torch.zeros(0, 9, 5, 5)
    with pytest.raises(ValueError, match='too small'):
        layer(torch.zeros(0, 4, 5, 5), offset, mask)


SHAPES = [(4, 5), (2, 3)]  # height and width per level


def attention_operands(dtype=torch.float64):
    keys = sum(h * w for h, w in SHAPES)
    value = torch.randn(2, keys, 2, 3, dtype=dtype)
    locations = torch.rand(2, 4, 2, 2, 3, 2, dtype=dtype) * 1.2 - 0.1
    weights = torch.rand(2, 4, 2, 6, dtype=dtype).softmax(-1).view(2, 4, 2, 2, 3)
    starts = torch.tensor([0, SHAPES[0][0] * SHAPES[0][1]])
    return value, torch.tensor(SHAPES), starts, locations, weights


def bilinear(plane, y, x):
    """Value of ``(H, W, D)`` between cell centres, zero outside."""
    total = torch.zeros(plane.size(-1), dtype=plane.dtype)
    for row in (int(y // 1), int(y // 1) + 1):
        for column in (int(x // 1), int(x // 1) + 1):
            if 0 <= row < plane.size(0) and 0 <= column < plane.size(1):
                share = (1 - abs(y - row)) * (1 - abs(x - column))
                total = total + share * plane[row, column]
    return total


def naive_attention(value, locations, weights):
    batch, queries, heads, _, points, _ = locations.shape
    out = torch.zeros(batch, queries, heads, value.size(-1), dtype=value.dtype)
    start = 0
    for level, (height, width) in enumerate(SHAPES):
        maps = value[:, start : start + height * width]
        start += height * width
        for index in torch.cartesian_prod(
            *(torch.arange(n) for n in (batch, queries, heads, points))
        ).tolist():
            b, q, h, p = index
            plane = maps[b, :, h].view(height, width, -1)
            x, y = locations[b, q, h, level, p].tolist()
            sampled = bilinear(plane, y * height - 0.5, x * width - 0.5)
            out[b, q, h] += weights[b, q, h, level, p] * sampled
    return out.flatten(2)


def test_deformable_attention_matches_the_naive_loop():
    tensors = attention_operands()
    got = MultiScaleDeformableAttnFunction.apply(*tensors, 64)
    expected = naive_attention(tensors[0], *tensors[3:])
    torch.testing.assert_close(got, expected)


def test_deformable_attention_passes_gradcheck():
    value, shapes, starts, locations, weights = attention_operands()
    inputs = [t.requires_grad_() for t in (value, locations, weights)]
    assert gradcheck(
        lambda v, loc, w: MultiScaleDeformableAttnFunction.apply(
            v, shapes, starts, loc, w, 64
        ),
        inputs,
    )


@pytest.mark.parametrize('dtype', HALVES)
def test_deformable_attention_in_half_precision(dtype):
    value, shapes, starts, locations, weights = attention_operands(dtype)
    value.requires_grad_()
    got = MultiScaleDeformableAttnFunction.apply(
        value, shapes, starts, locations, weights, 64
    )
    assert got.dtype == dtype
    got.sum().backward()
    assert value.grad.dtype == dtype
    expected = naive_attention(
        value.detach().float(), locations.float(), weights.float()
    )
    torch.testing.assert_close(got.float(), expected, rtol=0.02, atol=0.02)
