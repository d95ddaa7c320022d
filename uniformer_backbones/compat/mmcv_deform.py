"""Deformable convolution v1 and v2 and deformable attention of mmcv.

The convolutions are torchvision's kernels, which always take a mask and a bias: v1
passes ``use_mask=False`` and both are ignored or zero. Deformable attention is mmcv's
own pure PyTorch function (mmcv calls the operator on CUDA only).
"""

from collections.abc import Sequence

import torch
import torchvision  # noqa: F401 - importing it registers torch.ops.torchvision
from torch import Tensor

from .mmcv_common import full_precision

# Stride, padding, dilation as (height, width), then groups: torchvision's order in the
# words of mmcv's two calls.
KEYS_V1 = (
    *('dH', 'dW', 'padH', 'padW', 'dilationH', 'dilationW'),
    *('group', 'deformable_group'),
)
KEYS_V2 = (
    *('stride_h', 'stride_w', 'pad_h', 'pad_w', 'dilation_h', 'dilation_w'),
    *('group', 'deformable_group'),
)


def deform_conv_forward(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    **geometry: int,
) -> None:
    """Fill ``output`` with the deformable convolution v1 (no mask, no bias).

    Args:
        x: ``(B, C, H, W)``.
        weight: ``(O, C / groups, kH, kW)``.
        offset: ``(B, 2 * deformable groups * kH * kW, h, w)``, y before x.
        output: ``(B, O, h, w)``.
        columns: unused work space.
        ones: unused work space.
        **geometry: kW, kH, dW, dH (strides), padW, padH, dilationW, dilationH, group,
            deformable_group, im2col_step.
    """
    keys = [geometry[key] for key in KEYS_V1]
    output.copy_(_convolve(x, weight, offset, None, None, keys))


def deform_conv_backward_input(
    x: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    **geometry: int,
) -> None:
    """Fill the gradients by input and offset."""
    keys = [geometry[key] for key in KEYS_V1]
    grads = _gradients(grad_output, x, weight, offset, None, None, keys)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])


def deform_conv_backward_parameters(
    x: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    scale: float,
    **geometry: int,
) -> None:
    """Fill ``scale`` times the gradient by the weight, which it does not depend on."""
    keys = [geometry[key] for key in KEYS_V1]
    weight = torch.zeros_like(grad_weight)
    grads = _gradients(grad_output, x, weight, offset, None, None, keys)
    grad_weight.copy_(grads[1] * scale)


def modulated_deform_conv_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    with_bias: bool,
    **geometry: int,
) -> None:
    """Fill ``output`` with the deformable convolution v2.

    Args:
        x: ``(B, C, H, W)``.
        weight: ``(O, C / groups, kH, kW)``.
        bias: ``(O,)``, or empty where ``with_bias`` is false.
        ones: unused work space.
        offset: ``(B, 2 * deformable groups * kH * kW, h, w)``.
        mask: ``(B, deformable groups * kH * kW, h, w)``.
        output: ``(B, O, h, w)``.
        columns: unused work space.
        with_bias: whether ``bias`` counts.
        **geometry: kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h,
            dilation_w, group, deformable_group.
    """
    keys = [geometry[key] for key in KEYS_V2]
    used = bias if with_bias else None
    output.copy_(_convolve(x, weight, offset, mask, used, keys))


def modulated_deform_conv_backward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    with_bias: bool,
    **geometry: int,
) -> None:
    """Fill the five gradients; that of the bias only ``with_bias``."""
    keys = [geometry[key] for key in KEYS_V2]
    used = bias if with_bias else None
    grads = _gradients(grad_output, x, weight, offset, mask, used, keys)
    buffers = (grad_input, grad_weight, grad_offset, grad_mask)
    for buffer, grad in zip(buffers, grads, strict=False):
        buffer.copy_(grad)
    if with_bias:
        grad_bias.copy_(grads[4])


def _convolve(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    keys: Sequence[int],
) -> Tensor:
    tensors = _operands(x, weight, offset, mask, bias)
    result: Tensor = torch.ops.torchvision.deform_conv2d(
        *tensors, *keys, mask is not None
    )
    return result


def _gradients(
    grad_output: Tensor,
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    keys: Sequence[int],
) -> tuple[Tensor, ...]:
    """Gradients by input, weight, offset, mask and bias."""
    tensors = _operands(x, weight, offset, mask, bias)
    grads: tuple[Tensor, ...] = torch.ops.torchvision._deform_conv2d_backward(
        full_precision(grad_output), *tensors, *keys, mask is not None
    )
    return grads


def _operands(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
) -> list[Tensor]:
    """Torchvision's five tensors, all of one full precision."""
    if mask is None:
        mask = x.new_zeros(x.size(0), 1)
    if bias is None:
        bias = x.new_zeros(weight.size(0))
    tensors = [full_precision(t) for t in (x, weight, offset, mask, bias)]
    return [t.to(tensors[0].dtype) for t in tensors]


def ms_deform_attn_forward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Return multi-scale deformable attention, ``(B, queries, heads * D)``.

    Args:
        value: ``(B, keys, heads, D)``, the levels one after the other.
        spatial_shapes: ``(levels, 2)``, height and width.
        level_start_index: unused, it follows from ``spatial_shapes``.
        sampling_locations: ``(B, queries, heads, levels, points, 2)``, x before y, each
            in 0..1 inside the map.
        attention_weights: ``(B, queries, heads, levels, points)``.
        im2col_step: unused, the kernel's chunk of the batch.
    """
    tensors = (value, sampling_locations, attention_weights)
    full = [full_precision(t) for t in tensors]
    return _attend(spatial_shapes, *full).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fill the gradients by value, sampling locations and attention weights."""
    tensors = (value, sampling_locations, attention_weights)
    with torch.enable_grad():
        inputs = [full_precision(t).detach().requires_grad_() for t in tensors]
        result = _attend(spatial_shapes, *inputs)
        grads = torch.autograd.grad(result, inputs, full_precision(grad_output))
    buffers = (grad_value, grad_sampling_loc, grad_attn_weight)
    for buffer, grad in zip(buffers, grads, strict=True):
        buffer.copy_(grad)


def _attend(
    spatial_shapes: Tensor, value: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    # Imported at the call: mmcv.ops itself imports this file's functions.
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

    # As numbers: the function splits and reshapes by them, one sync each on CUDA.
    shapes = spatial_shapes.tolist()
    result: Tensor = multi_scale_deformable_attn_pytorch(
        value, shapes, locations, weights
    )
    return result
