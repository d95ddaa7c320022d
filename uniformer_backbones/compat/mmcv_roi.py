"""RoIAlign and RoIPool of mmcv: the same arguments, the same buffers.

RoIAlign is torchvision's. RoIPool is not: torchvision (as Caffe2) rounds a region to
whole cells and mmcv does not, so their bins differ by a cell as soon as the feature map
is scaled. Here it is written after mmcv's CUDA kernel.
"""

import torch
import torchvision  # noqa: F401 - importing it registers torch.ops.torchvision
from torch import Tensor

from .mmcv_common import full_precision

AVERAGE = 1


def roi_align_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``output`` ``(K, C, h, w)`` from ``features`` ``(B, C, H, W)``.

    Args:
        features: maps to sample.
        rois: ``(K, 5)`` as index in the batch, x1, y1, x2, y2.
        output: buffer of the result.
        argmax_y: unused, of maximum pooling.
        argmax_x: unused, of maximum pooling.
        aligned_height: h.
        aligned_width: w.
        spatial_scale: from box to feature coordinates.
        sampling_ratio: samples per bin and axis, 0 for as many as cells.
        pool_mode: 1, the average; 0, the maximum, is not supported.
        aligned: shift by half a cell.

    Raises:
        NotImplementedError: ``pool_mode`` is 0.
    """
    _check_average(pool_mode)
    x = full_precision(features)
    output.copy_(
        torch.ops.torchvision.roi_align(
            x,
            rois.to(x.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``grad_input``; arguments as in :func:`roi_align_forward`."""
    _check_average(pool_mode)
    grad = full_precision(grad_output)
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            grad,
            rois.to(grad.dtype),
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def _check_average(pool_mode: int) -> None:
    if pool_mode != AVERAGE:
        raise NotImplementedError(
            "mmcv op 'roi_align' has no fallback for pool_mode='max': "
            'install the compiled mmcv'
        )


def roi_pool_forward(
    features: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill ``output`` ``(K, C, h, w)`` with the maximum of each bin.

    Args:
        features: ``(B, C, H, W)``.
        rois: ``(K, 5)`` as index in the batch, x1, y1, x2, y2 (last cell included).
        output: buffer of the result; 0 where a bin is empty.
        argmax: int32 buffer, cell of the maximum as ``y * W + x``, -1 where empty.
        pooled_height: h.
        pooled_width: w.
        spatial_scale: from box to feature coordinates.
    """
    x = full_precision(features)
    height, width = x.shape[-2:]
    boxes = rois.to(x.dtype)
    low, high = boxes[:, 1:3] * spatial_scale, (boxes[:, 3:5] + 1) * spatial_scale
    x_bins = _bins(low[:, 0], high[:, 0], pooled_width, width)
    y_bins = _bins(low[:, 1], high[:, 1], pooled_height, height)
    valid = ((high - low) > 0).all(dim=1).tolist()
    output.zero_()
    argmax.fill_(-1)
    for k, index in enumerate(boxes[:, 0].long().tolist()):
        # A malformed region stays empty. (mmcv leaves argmax at 0 there, and then adds
        # its gradient to the first cell of the map.)
        if valid[k]:
            value, cell = _max_of_bins(x[index], y_bins[k], x_bins[k])
            output[k].copy_(value)
            argmax[k].copy_(cell)


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Send each bin's gradient to the cell that was its maximum."""
    grad = full_precision(grad_output)
    batch, channels, height, width = grad_input.shape
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(
        channels, device=rois.device
    )
    cells = argmax.long() + plane[:, :, None, None] * (height * width)
    used = argmax >= 0
    total = grad.new_zeros(batch * channels * height * width)
    total.index_add_(0, cells[used], grad[used])
    grad_input.copy_(total.view_as(grad_input))


def _bins(low: Tensor, high: Tensor, count: int, limit: int) -> list[list[list[int]]]:
    """First cell and end of ``count`` bins between ``low`` and ``high``, per region."""
    step = torch.arange(count, device=low.device, dtype=low.dtype)
    side = ((high - low) / count)[:, None]
    start = (step * side + low[:, None]).floor()
    end = ((step + 1) * side + low[:, None]).ceil()
    edges: list[list[list[int]]] = (
        torch.stack([start, end], dim=-1).clamp(0, limit).long().tolist()
    )
    return edges


def _max_of_bins(
    plane: Tensor, y_bins: list[list[int]], x_bins: list[list[int]]
) -> tuple[Tensor, Tensor]:
    """Maximum and its cell per bin of one region, ``(C, h, w)`` each.

    Columns first, then rows: with equal values the first in reading order wins, as in
    the kernel, which decides where the gradient of a flat (after ReLU: zero) bin goes.
    """
    width = plane.size(-1)
    columns = [_first_max(plane, start, end, dim=2) for start, end in x_bins]
    value = torch.stack([v for v, _ in columns], dim=-1)  # (C, H, w)
    column = torch.stack([i for _, i in columns], dim=-1)
    values, cells = [], []
    for start, end in y_bins:
        best, row = _first_max(value, start, end, dim=1)  # (C, w)
        cell = row * width + column.gather(1, row[:, None].clamp(min=0)).squeeze(1)
        values.append(best)
        cells.append(cell)
    result, position = torch.stack(values, dim=1), torch.stack(cells, dim=1)
    empty = result == -torch.inf
    return result.masked_fill(empty, 0.0), position.masked_fill(empty, -1)


def _first_max(x: Tensor, start: int, end: int, dim: int) -> tuple[Tensor, Tensor]:
    """Maximum of a slice and its index in ``x``; minus infinity where it is empty."""
    if end <= start:
        shape = x.select(dim, 0)
        return torch.full_like(shape, -torch.inf), torch.zeros_like(
            shape, dtype=torch.long
        )
    value, index = x.narrow(dim, start, end - start).max(dim=dim)
    return value, index + start
