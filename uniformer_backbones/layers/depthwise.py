"""Depth-wise convolution of clips, with a backward pass that a CPU does quickly.

oneDNN convolves clips depth-wise fast, but has no fast kernel for the gradients: they
take ten to a hundred times as long as the convolution, and made up 40 % of a training
step of UniFormer-S. Both gradients are simple. That of the input is the same
convolution with the kernel turned round. That of the kernel is, tap by tap, the sum of
the products of the output's gradient and the shifted input.
"""

from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uniformer_backbones.layers.nd import (
    ChannelsLastConv2d,
    ChannelsLastConv3d,
    check_ndim,
)


class _DepthwiseConv3d(torch.autograd.Function):
    """Size-preserving depth-wise convolution of ``(B, C, T, H, W)``, stride 1.

    The backward pass consists of differentiable operations, so it can be
    differentiated again.
    """

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _convolve(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _ = inputs
        ctx.save_for_backward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            _convolve(grad, weight.flip(2, 3, 4), None) if wants_x else None,
            _weight_gradient(x, weight, grad) if wants_weight else None,
            grad.sum((0, 2, 3, 4)) if wants_bias else None,
        )


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    padding = [side // 2 for side in weight.shape[2:]]
    return F.conv3d(x, weight, bias, padding=padding, groups=weight.shape[0])


def _weight_gradient(x: Tensor, weight: Tensor, grad: Tensor) -> Tensor:
    """Gradient of the kernel, ``(C, 1, *k)``; channels-last inside, (B, T, H, W, C)."""
    sides = weight.shape[2:]
    pads = [pad for side in reversed(sides) for pad in (side // 2, side // 2)]
    x = F.pad(x.movedim(1, -1), (0, 0, *pads))
    grad = grad.movedim(1, -1)
    frames, height, width = grad.shape[1:4]
    taps = [
        (x[:, t : t + frames, i : i + height, j : j + width] * grad).sum((0, 1, 2, 3))
        for t, i, j in product(*map(range, sides))
    ]
    return torch.stack(taps, 1).reshape(weight.shape)


class DepthwiseConv3d(ChannelsLastConv3d):
    """Depth-wise ``nn.Conv3d`` on ``(B, T, H, W, C)``, stride 1, odd kernel.

    Args:
        dim: channels.
        kernel_size: side of the kernel, odd; the padding keeps the size.

    Shape:
        ``(B, T, H, W, dim)`` to the same.
    """

    def __init__(self, dim: int, kernel_size: int) -> None:
        super().__init__(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve; on a CPU in float32 the gradients are the ones above."""
        if not (_has_slow_gradients(x) and self.weight.dtype == x.dtype):
            return super().forward(x)
        maps = x.movedim(-1, 1)
        return _DepthwiseConv3d.apply(maps, self.weight, self.bias).movedim(1, -1)


def _has_slow_gradients(x: Tensor) -> bool:
    return (
        x.device.type == 'cpu'
        and x.dtype in (torch.float32, torch.float64)
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled('cpu')
        and not torch.compiler.is_compiling()
    )


def depthwise_conv(dim: int, kernel_size: int, ndim: int) -> nn.Module:
    """Depth-wise convolution on ``(B, *S, C)``, stride 1, size preserving.

    Images have PyTorch's own: there both gradients are fast.

    Raises:
        ValueError: ``ndim`` is not 2 or 3.
    """
    if check_ndim(ndim) == 3:
        return DepthwiseConv3d(dim, kernel_size)
    return ChannelsLastConv2d(
        dim, dim, kernel_size, padding=kernel_size // 2, groups=dim
    )
