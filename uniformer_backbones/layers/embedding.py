"""Embeddings: patches, the overlapped convolutional stem, dynamic positions.

UniFormer, arXiv:2201.09450, section 3.3 and 3.5.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from uniformer_backbones.layers.depthwise import depthwise_conv
from uniformer_backbones.layers.nd import (
    PatchConv,
    batch_norm_nd,
    channels_first,
    conv_nd,
)


class PatchEmbed(nn.Module):
    """Patch embedding: non-overlapping patches (stride = kernel), then LayerNorm.

    In a clip a kernel longer than its temporal stride overlaps in time; time is
    then zero-padded by half the kernel, space never.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: sides of a patch, one per spatial axis.
        stride: step per spatial axis.
        eps: of the LayerNorm; 1e-5 as released, unlike the 1e-6 of the blocks.

    Shape:
        ``(B, *S, in_channels)`` to ``(B, *S', out_channels)``; spatial sizes are
        floored.

    Source:
        Official keys ``patch_embed{s}.proj``, ``patch_embed{s}.norm``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        stride: Sequence[int],
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        kernel, stride = tuple(kernel_size), tuple(stride)
        if kernel == stride:
            self.proj: nn.Module = PatchConv(in_channels, out_channels, kernel)
        else:
            time_padding = [side // 2 for side in kernel[:-2]]
            self.proj = conv_nd(len(kernel))(
                in_channels, out_channels, kernel, stride, (*time_padding, 0, 0)
            )
        self.norm = nn.LayerNorm(out_channels, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C_in)`` to ``(B, *S', C_out)``."""
        return self.norm(self.proj(x))


class ConvStem(nn.Module):
    """Overlapped patch embedding: 3-wide convolutions of stride 2, each with BatchNorm.

    ``depth=2`` is the head of the network (GELU between the two), ``depth=1`` stands
    between two stages. There is no activation at the end and no LayerNorm.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        strides: one tuple of per-axis steps for each convolution (1 or 2 of them).

    Shape:
        ``(B, *S, in_channels)`` to ``(B, *S', out_channels)``; each stride of 2
        halves a size, rounded up.

    Source:
        Official keys ``patch_embed1.proj.{0,1,3,4}`` and
        ``patch_embed{2,3,4}.proj.{0,1}``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, strides: Sequence[Sequence[int]]
    ) -> None:
        super().__init__()
        ndim = len(strides[0])
        conv, norm = conv_nd(ndim, channels_last=False), batch_norm_nd(ndim)
        widths = [in_channels, *[out_channels // 2] * (len(strides) - 1), out_channels]
        layers: list[nn.Module] = []
        for c_in, c_out, stride in zip(widths, widths[1:], strides, strict=False):
            layers += [nn.GELU()] if layers else []
            layers += [
                conv(c_in, c_out, 3, stride=tuple(stride), padding=1),
                norm(c_out),
            ]
        self.proj = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C_in)`` to ``(B, *S', C_out)``."""
        return channels_first(self.proj, x)


def DynamicPositionEmbedding(dim: int, ndim: int) -> nn.Module:  # noqa: N802
    """Dynamic position embedding (DPE): a 3-wide depth-wise convolution.

    Zero padding at the border is what makes it tell positions apart; it works at
    any size. A function with a class's name: the state dict knows it as
    ``pos_embed.weight`` and ``pos_embed.bias``, so no module may stand around it.

    Source:
        arXiv:2201.09450, equation 2 (DPE).
    """
    return depthwise_conv(dim, 3, ndim)


def make_embedding(
    stage: int,
    ndim: int,
    in_channels: int,
    out_channels: int,
    conv_stem: bool,
    temporal_overlap: bool,
    eps: float,
) -> nn.Module:
    """Embedding of a stage; the one place that knows how time is treated.

    Time is halved once, in the first embedding: kernel 3, stride 2. The later ones
    keep it, with a kernel of one frame or, overlapping, of three.
    """
    is_clip = ndim == 3
    if conv_stem:
        first = ((1,) if is_clip else ()) + (2, 2)
        halving = ((2,) if is_clip else ()) + (2, 2)
        return ConvStem(
            in_channels, out_channels, (first, halving) if stage == 1 else (first,)
        )
    side = 4 if stage == 1 else 2
    time_stride = 2 if stage == 1 else 1
    time_kernel = 3 if stage == 1 or temporal_overlap else 1
    kernel = ((time_kernel,) if is_clip else ()) + (side, side)
    stride = ((time_stride,) if is_clip else ()) + (side, side)
    return PatchEmbed(in_channels, out_channels, kernel, stride, eps)
