"""What differs between images and clips, and the channels-last convolutions.

A *map* is ``(B, C, *S)`` with ``S = (H, W)`` for images and ``(T, H, W)`` for
clips. Inside the stages a map is kept channels-last, ``(B, *S, C)`` and
contiguous, from the first patch embedding to the last block: point-wise layers
and LayerNorm then act on the last axis without a permutation, and a convolution
sees ``movedim(-1, 1)``, which is a view in PyTorch's channels_last memory format.
This is the only file that knows two dimensions from three.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class _ChannelsLast:
    """Mixin: a convolution whose input and output are ``(B, *S, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(-1, 1)).movedim(1, -1)  # type: ignore[misc]


class ChannelsLastConv2d(_ChannelsLast, nn.Conv2d):
    """``nn.Conv2d`` on ``(B, H, W, C)``."""


class ChannelsLastConv3d(_ChannelsLast, nn.Conv3d):
    """``nn.Conv3d`` on ``(B, T, H, W, C)``."""


CONVS = {2: nn.Conv2d, 3: nn.Conv3d}
CHANNELS_LAST_CONVS = {2: ChannelsLastConv2d, 3: ChannelsLastConv3d}
CONV_FUNCTIONS = {2: F.conv2d, 3: F.conv3d}
BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


# PyTorch before 2.7 counts an export as compilation.
is_exporting = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)


def check_ndim(ndim: int) -> int:
    """Return ``ndim`` if it is 2 or 3.

    Raises:
        ValueError: anything else.
    """
    if ndim not in CONVS:
        raise ValueError(f'ndim must be 2 (images) or 3 (clips), got {ndim!r}')
    return ndim


def conv_nd(ndim: int, channels_last: bool = True) -> type[nn.Module]:
    """Convolution class for ``ndim`` spatial axes.

    Args:
        ndim: 2 or 3.
        channels_last: the class takes and gives ``(B, *S, C)``; otherwise it is
            PyTorch's own, on ``(B, C, *S)``.

    Raises:
        ValueError: ``ndim`` is not 2 or 3.
    """
    return (CHANNELS_LAST_CONVS if channels_last else CONVS)[check_ndim(ndim)]


def batch_norm_nd(ndim: int) -> type[nn.Module]:
    """BatchNorm class on ``(B, C, *S)``; PyTorch's own, so SyncBN conversion works.

    Raises:
        ValueError: ``ndim`` is not 2 or 3.
    """
    return BATCH_NORMS[check_ndim(ndim)]


def channels_first(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module that wants ``(B, C, *S)`` to a channels-last map; no copy."""
    return module(x.movedim(-1, 1)).movedim(1, -1)


class PatchConv(nn.Linear):
    """Convolution whose stride equals its kernel, as one matrix product.

    Every patch is flattened and multiplied; the weight keeps the shape of the
    convolution, so that state dicts are those of ``nn.Conv2d``/``nn.Conv3d``, and
    so do the initial values (both draw from the same Kaiming uniform range).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: sides of a patch, one per spatial axis.

    Shape:
        ``(B, *S, in_channels)`` to ``(B, *(S // kernel_size), out_channels)``;
        what does not fill a patch is ignored, as a convolution does.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sequence[int]
    ) -> None:
        kernel = tuple(kernel_size)
        super().__init__(in_channels * int(torch.Size(kernel).numel()), out_channels)
        shape = (out_channels, in_channels, *kernel)
        self.weight = nn.Parameter(self.weight.detach().reshape(shape))
        self.kernel_size = kernel

    def extra_repr(self) -> str:
        """Show the convolution that this layer stands for."""
        out_channels, in_channels = self.weight.shape[:2]
        return f'{in_channels}, {out_channels}, kernel_size={self.kernel_size}'

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C_in)`` to ``(B, *(S // k), C_out)``."""
        if is_exporting():  # one operator, and no guards on symbolic sizes
            conv = CONV_FUNCTIONS[len(self.kernel_size)]
            x = conv(x.movedim(-1, 1), self.weight, self.bias, self.kernel_size)
            return x.movedim(1, -1)
        weight = self.weight.movedim(1, -1).flatten(1)  # (C_out, k1 * .. * C_in)
        return F.linear(to_patches(x, self.kernel_size), weight, self.bias)


class PointwiseConv(PatchConv):
    """1x1 (or 1x1x1) convolution on ``(B, *S, C)``: a Linear of convolution shape."""

    def __init__(self, in_channels: int, out_channels: int, ndim: int) -> None:
        super().__init__(in_channels, out_channels, (1,) * check_ndim(ndim))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C_in)`` to ``(B, *S, C_out)``."""
        return F.linear(x, self.weight.flatten(1), self.bias)


def to_patches(x: Tensor, sides: Sequence[int]) -> Tensor:
    """Cut a channels-last map into flattened, non-overlapping patches.

    Shape:
        ``(B, *S, C)`` to ``(B, *(S // sides), prod(sides) * C)``; in 2D with
        sides (2, 2): ``(B, H, W, C)`` to ``(B, H // 2, W // 2, 4 * C)``.
    """
    ndim = len(sides)
    grid = [size // side for size, side in zip(x.shape[1:-1], sides, strict=True)]
    for axis, (count, side) in enumerate(zip(grid, sides, strict=True), start=1):
        x = x.narrow(axis, 0, count * side)
    pairs = [n for pair in zip(grid, sides, strict=True) for n in pair]
    x = x.reshape(x.shape[0], *pairs, x.shape[-1])  # 2D: (B, h, 2, w, 2, C)
    outer = [1 + 2 * axis for axis in range(ndim)]
    inner = [2 + 2 * axis for axis in range(ndim)]
    return x.permute(0, *outer, *inner, -1).flatten(1 + ndim)


def to_windows(x: Tensor, side: int) -> Tensor:
    """Group the tokens of a channels-last map by square spatial windows.

    A clip's windows hold all its frames. Height and width must divide by ``side``.

    Shape:
        ``(B, *T, H, W, C)`` to ``(B * H//side * W//side, L, C)`` with
        ``L = prod(T) * side * side``; windows and tokens are row-major.
    """
    rows, cols = x.shape[-3] // side, x.shape[-2] // side
    frames = x.shape[1:-3].numel()
    x = x.reshape(x.shape[0], frames, rows, side, cols, side, x.shape[-1])
    return x.permute(0, 2, 4, 1, 3, 5, 6).flatten(3, 5).flatten(0, 2)


def from_windows(x: Tensor, side: int, size: Sequence[int]) -> Tensor:
    """Undo :func:`to_windows`; ``size`` is ``(*T, H, W)`` of the padded map."""
    *time, height, width = size
    rows, cols = height // side, width // side
    frames = torch.Size(time).numel()
    x = x.reshape(-1, rows, cols, frames, side, side, x.shape[-1])
    return x.permute(0, 3, 1, 4, 2, 5, 6).reshape(-1, *size, x.shape[-1])
