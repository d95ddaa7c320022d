"""Patch embedding, convolutional stem, dynamic position embedding."""

import pytest
import torch
from torch import nn

from tests.tiny import randomise
from uniformer_backbones.layers.embedding import (
    ConvStem,
    DynamicPositionEmbedding,
    PatchEmbed,
    make_embedding,
)

CONVS = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def channels_last(x):
    return x.movedim(1, -1).contiguous()


@pytest.mark.parametrize('stage', [1, 2])
@pytest.mark.parametrize(
    ('temporal_overlap', 'eps'), [(False, 1e-5), (True, 1e-1)], ids=['plain', 'overlap']
)
def test_plain_embedding_is_strided_convolution_and_layer_norm(
    ndim, stage, temporal_overlap, eps
):
    if ndim == 2 and temporal_overlap:
        pytest.skip('images have no time')
    layer = randomise(make_embedding(stage, ndim, 3, 8, False, temporal_overlap, eps))
    # architecture: 3x4x4 stride 2x4x4; then 1x2x2, or 3x2x2 with overlap, stride 1x2x2.
    side, time = (4, (3, 2)) if stage == 1 else (2, (3 if temporal_overlap else 1, 1))
    kernel, stride, padding = (side, side), (side, side), (0, 0)
    if ndim == 3:
        kernel, stride = (time[0], *kernel), (time[1], *stride)
        padding = (time[0] // 2, *padding)
    conv = CONVS[ndim](3, 8, kernel, stride, padding)
    conv.load_state_dict(layer.proj.state_dict())
    norm = nn.LayerNorm(8, eps=eps)
    norm.load_state_dict(layer.norm.state_dict())
    x = torch.randn(2, 3, *(5, 17, 22)[3 - ndim :])
    expected = norm(channels_last(conv(x)))
    torch.testing.assert_close(layer(channels_last(x)), expected)
    assert (
        expected.shape[1:-1]
        == (*((3,) if stage == 1 else (5,)), *expected.shape[-3:-1])[3 - ndim :]
    )


def test_embedding_norm_has_the_released_eps():
    assert PatchEmbed(3, 8, (4, 4), (4, 4)).norm.eps == 1e-5


@pytest.mark.parametrize('stage', [1, 2], ids=['head', 'middle'])
@pytest.mark.parametrize('training', [True, False])
def test_conv_stem_is_three_wide_convolutions_with_batch_norm(ndim, stage, training):
    layer = randomise(make_embedding(stage, ndim, 6, 8, True, False, 1e-5))
    step = (1, 2, 2)[3 - ndim :]
    if stage == 1:
        second = (2, 2, 2)[3 - ndim :]  # time is halved by the second convolution
        reference = nn.Sequential(
            CONVS[ndim](6, 4, 3, step, 1),
            NORMS[ndim](4),
            nn.GELU(),
            CONVS[ndim](4, 8, 3, second, 1),
            NORMS[ndim](8),
        )
    else:
        reference = nn.Sequential(CONVS[ndim](6, 8, 3, step, 1), NORMS[ndim](8))
    reference.load_state_dict(layer.proj.state_dict())
    layer.train(training)
    reference.train(training)
    x = torch.randn(2, 6, *(5, 17, 22)[3 - ndim :])
    out = layer(channels_last(x))
    torch.testing.assert_close(out, channels_last(reference(x)), rtol=1e-4, atol=1e-5)
    # Rounded up at each halving: 17 -> 9 -> 5, 22 -> 11 -> 6, and 5 frames -> 3.
    size = (3, 5, 6) if stage == 1 else (5, 9, 11)
    assert tuple(out.shape) == (2, *size[3 - ndim :], 8)
    assert not any(isinstance(m, nn.LayerNorm) for m in layer.modules())


def test_conv_stem_takes_one_tuple_of_strides_per_convolution():
    assert len(ConvStem(3, 8, [(2, 2)]).proj) == 2
    assert len(ConvStem(3, 8, [(2, 2), (2, 2)]).proj) == 5


def test_position_embedding_sees_the_border_and_any_size(ndim):
    layer = DynamicPositionEmbedding(4, ndim)
    assert tuple(layer.weight.shape) == (4, 1, *(3,) * ndim)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
    out = layer(torch.ones(1, *(5,) * ndim, 4))[0, ..., 0]
    # A sum over 3^n neighbours, of which the zero padding takes part at a corner.
    assert out[(2,) * ndim] == 3**ndim
    assert out[(0,) * ndim] == 2**ndim
    assert layer(torch.ones(1, *(1,) * ndim, 4)).shape == (1, *(1,) * ndim, 4)
