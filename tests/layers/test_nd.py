"""Channels-last convolutions equal PyTorch's."""

import math

import pytest
import torch
from torch import nn

from tests.tiny import input_gradient
from uniformer_backbones.layers.depthwise import depthwise_conv
from uniformer_backbones.layers.nd import (
    PatchConv,
    PointwiseConv,
    batch_norm_nd,
    channels_first,
    conv_nd,
    from_windows,
    to_patches,
    to_windows,
)

CONVS = {2: nn.Conv2d, 3: nn.Conv3d}
SIZES = {2: (9, 11), 3: (5, 9, 11)}  # nothing divides


def channels_last(x):
    return x.movedim(1, -1).contiguous()


def assert_same_function(layer, reference, ndim, channels=6):
    """Same state dict, same outputs, same gradients of input and weights."""
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(2, channels, *SIZES[ndim])
    expected = reference(x)
    torch.testing.assert_close(layer(channels_last(x)), channels_last(expected))
    gradients = [
        input_gradient(lambda t: layer(t.movedim(1, -1)).movedim(-1, 1), x),
        input_gradient(reference, x),
    ]
    torch.testing.assert_close(*gradients)
    seed = torch.randn_like(expected)
    (reference(x) * seed).sum().backward()
    (layer(channels_last(x)).movedim(-1, 1) * seed).sum().backward()
    for ours, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('side', [1, 2, 4])
def test_patch_convolution_equals_convolution_at_sizes_that_do_not_divide(ndim, side):
    kernel = (1, 2, 4)[3 - ndim :] if side == 4 else (side,) * ndim
    layer = PatchConv(6, 8, kernel)
    assert_same_function(layer, CONVS[ndim](6, 8, kernel, stride=kernel), ndim)
    assert layer.extra_repr() == f'6, 8, kernel_size={kernel}'


def test_pointwise_convolution_equals_convolution(ndim):
    assert_same_function(PointwiseConv(6, 4, ndim), CONVS[ndim](6, 4, 1), ndim)


@pytest.mark.parametrize('side', [3, 5])
def test_depthwise_convolution_equals_convolution(ndim, side):
    reference = CONVS[ndim](6, 6, side, padding=side // 2, groups=6)
    assert_same_function(depthwise_conv(6, side, ndim), reference, ndim)


def test_initial_weights_are_distributed_as_those_of_a_convolution(ndim):
    # nn.Conv draws from +-1/sqrt(fan in): standard deviation 1/sqrt(3 fan in).
    kernel = (2,) * ndim
    layer, reference = PatchConv(64, 96, kernel), CONVS[ndim](64, 96, kernel, kernel)
    bound = 1 / math.sqrt(64 * 2**ndim)
    for conv in (layer, reference):
        for values in (conv.weight, conv.bias):
            assert values.abs().max() <= bound
            assert values.abs().max() > 0.9 * bound
        assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)


@pytest.mark.parametrize('of', [conv_nd, batch_norm_nd])
@pytest.mark.parametrize('wrong', [1, 4, '2', None])
def test_wrong_number_of_dimensions_is_refused(of, wrong):
    with pytest.raises(ValueError, match=r'ndim must be 2 \(images\) or 3 \(clips\)'):
        of(wrong)


def test_pytorch_convolution_is_given_on_request(ndim):
    assert conv_nd(ndim, channels_last=False) is CONVS[ndim]
    assert issubclass(conv_nd(ndim), CONVS[ndim])


def test_batch_norm_of_channels_first_copies_nothing_and_stays_channels_last(ndim):
    x = torch.randn(2, *SIZES[ndim], 6)
    norm = batch_norm_nd(ndim)(6).eval()
    out = channels_first(norm, x)
    assert out.is_contiguous()
    assert channels_first(nn.Identity(), x).data_ptr() == x.data_ptr()


def test_patches_are_flattened_row_by_row():
    # 4 x 4 positions numbered in reading order; a patch of 2 x 2 is 0 1 / 4 5.
    x = torch.arange(16).view(1, 4, 4, 1)
    assert to_patches(x, (2, 2))[0, 0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]


def test_windows_are_row_major_and_hold_all_frames():
    image = torch.arange(16).view(1, 4, 4, 1)
    rows = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert to_windows(image, 2)[..., 0].tolist() == rows
    clip = torch.stack([image, image + 16], 1)
    first = to_windows(clip, 2)[0, :, 0].tolist()
    assert first == [0, 1, 4, 5, 16, 17, 20, 21]


@pytest.mark.parametrize('size', [(6, 9), (2, 6, 9)], ids=['image', 'clip'])
def test_windows_are_undone(size):
    x = torch.randn(3, *size, 5)
    assert torch.equal(from_windows(to_windows(x, 3), 3, size), x)
