"""mmcv's operators in torch and torchvision, with mmcv 2.1.0's calling conventions.

mmcv passes preallocated buffers for outputs and gradients; the functions here fill
them by ``copy_``. Half precision is computed in float32, as torchvision's kernels have
no bfloat16 on every device, and ``copy_`` casts back. Score thresholds and limits on
the number of boxes are applied by mmcv's Python side, before and after ``nms``.

Source:
    ``mmcv/ops/csrc`` of mmcv 2.1.0; named in each function where it deviates.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
import torchvision
from torch import Tensor

from . import mmcv_deform, mmcv_roi
from .mmcv_common import full_precision

REMEDY = 'install the compiled mmcv'


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of the boxes kept, best first.

    Args:
        boxes: ``(N, 4)`` as x1, y1, x2, y2.
        scores: ``(N,)``.
        iou_threshold: a box goes when it overlaps a better one by more than this.
        offset: 1 where a side is ``x2 - x1 + 1``, as in mmdet 1.x; else 0.
    """
    boxes = full_precision(boxes)
    if offset:
        # Adding it to the far corners adds it to sides and to intersections alike.
        boxes = boxes + boxes.new_tensor([0.0, 0.0, offset, offset])
    keep: Tensor = torchvision.ops.nms(boxes, scores.to(boxes.dtype), iou_threshold)
    return keep


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Decay the scores of overlapping boxes instead of removing them.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``.
        dets: ``(N, 5)``, filled with box and decayed score in the order of selection.
        iou_threshold: overlap from which ``naive`` and ``linear`` act.
        sigma: width of the ``gaussian`` decay.
        min_score: boxes whose decayed score is lower are dropped.
        method: 0 naive, 1 linear, 2 gaussian.
        offset: as in :func:`nms`.

    Returns:
        Indices of the boxes selected, in order.
    """
    boxes, scores = full_precision(boxes), full_precision(scores).clone()
    low, high = boxes[:, :2], boxes[:, 2:]
    area = (high - low + offset).prod(dim=1)
    alive = torch.ones_like(scores, dtype=torch.bool)
    keep: list[int] = []
    while alive.any():
        best = int(scores.masked_fill(~alive, -torch.inf).argmax())
        dets[len(keep), :4] = boxes[best].to(dets.dtype)
        dets[len(keep), 4] = scores[best].to(dets.dtype)
        keep.append(best)
        alive[best] = False
        sides = torch.minimum(high[best], high) - torch.maximum(low[best], low) + offset
        inter = sides.clamp(min=0).prod(dim=1)
        # 0/0 of two empty boxes counts as no overlap, so that no score becomes NaN.
        overlap = (inter / (area[best] + area - inter)).nan_to_num(nan=0.0)
        decay = _decay(overlap, iou_threshold, sigma, method)
        scores = torch.where(alive, scores * decay, scores)
        alive &= scores >= min_score
    return torch.tensor(keep, dtype=torch.long)


def _decay(overlap: Tensor, threshold: float, sigma: float, method: int) -> Tensor:
    """Factor on each score; ``method`` as in :func:`softnms`."""
    if method == 2:
        return torch.exp(-overlap.square() / sigma)
    lowered = torch.zeros_like(overlap) if method == 0 else 1 - overlap
    return torch.where(overlap >= threshold, lowered, torch.ones_like(overlap))


def sigmoid_focal_loss_forward(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Focal loss of C independent classes.

    Args:
        logits: ``(N, C)``.
        target: ``(N,)`` class of each row; C is the background, where every class is a
            negative.
        weight: ``(C,)`` factor of a row by its target, or empty. A row without a class
            has factor 1 (the CUDA kernel reads past the end of ``weight`` there).
        output: ``(N, C)``, filled with the losses.
        gamma: focusing exponent.
        alpha: share of the positives.
    """
    _check_labels(target, logits.size(1))
    p, floor = _sigmoid(logits)
    positive = (1 - p) ** gamma * p.clamp(min=floor).log()
    negative = p**gamma * (1 - p).clamp(min=floor).log()
    loss = -torch.where(_is_target(p, target), alpha * positive, (1 - alpha) * negative)
    output.copy_(loss * _row_weight(target, weight, p)[:, None])


def sigmoid_focal_loss_backward(
    logits: Tensor,
    target: Tensor,
    weight: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative of :func:`sigmoid_focal_loss_forward` by ``logits``."""
    p, floor = _sigmoid(logits)
    q = 1 - p
    positive = q**gamma * (q - gamma * p * p.clamp(min=floor).log())
    negative = p**gamma * (gamma * q * q.clamp(min=floor).log() - p)
    grad = -torch.where(_is_target(p, target), alpha * positive, (1 - alpha) * negative)
    grad_input.copy_(grad * _row_weight(target, weight, p)[:, None])


def softmax_focal_loss_forward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    output: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Focal loss of one class in C.

    Args:
        softmax: ``(N, C)`` probabilities; mmcv computes them before the call.
        target: ``(N,)`` class of each row; a negative one is ignored. There is no
            background class: the classes are 0 to C - 1.
        weight: ``(C,)`` factor of a row by its target, or empty.
        output: ``(N,)``, filled with the losses.
        gamma: focusing exponent.
        alpha: factor of every row.
    """
    _check_labels(target, softmax.size(1) - 1)
    p, floor = _target_probability(softmax, target)
    loss = -alpha * (1 - p) ** gamma * p.clamp(min=floor).log()
    loss = loss * _row_weight(target, weight, p)
    output.copy_(loss.masked_fill(target < 0, 0.0))


def softmax_focal_loss_backward(
    softmax: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Derivative of :func:`softmax_focal_loss_forward` by the logits.

    ``buff`` ``(N,)`` receives the derivative by the target's logit, less the factor
    that the softmax adds, as in mmcv.
    """
    p, floor = _target_probability(softmax, target)
    # The floor keeps a sure prediction at 0 where gamma < 1 would give inf * 0.
    focus = (1 - p).clamp(min=floor) ** (gamma - 1)
    slope = alpha * (gamma * focus * p * p.clamp(min=floor).log() - (1 - p) ** gamma)
    slope = (slope * _row_weight(target, weight, p)).masked_fill(target < 0, 0.0)
    buff.copy_(slope)
    classes = _is_target(softmax, target).to(p.dtype)
    grad_input.copy_(slope[:, None] * (classes - full_precision(softmax)))


def _check_labels(target: Tensor, largest: int) -> None:
    if target.numel() and int(target.max()) > largest:
        raise ValueError(
            f'focal loss got the label {int(target.max())}, allowed are up to {largest}'
        )


def _sigmoid(logits: Tensor) -> tuple[Tensor, float]:
    """Probabilities, and the smallest float32 that the kernel's logarithms see."""
    return full_precision(logits).sigmoid(), torch.finfo(torch.float32).tiny


def _target_probability(softmax: Tensor, target: Tensor) -> tuple[Tensor, float]:
    """``(N,)`` probability of each row's target, class 0 where it is ignored."""
    picked = full_precision(softmax).gather(1, target.clamp(min=0)[:, None])
    return picked.squeeze(1), torch.finfo(torch.float32).tiny


def _is_target(scores: Tensor, target: Tensor) -> Tensor:
    """``(N, C)``, true at each row's class; a row of background is false throughout."""
    return target[:, None] == torch.arange(scores.size(1), device=scores.device)


def _row_weight(target: Tensor, weight: Tensor, like: Tensor) -> Tensor:
    """``(N,)`` class weight of each row, 1 where there is none."""
    ones = torch.ones_like(target, dtype=like.dtype)
    if weight.numel() == 0:
        return ones
    known = (target >= 0) & (target < weight.numel())
    index = target.clamp(0, weight.numel() - 1)
    return torch.where(known, weight.to(like.dtype)[index], ones)


def get_compiler_version() -> str:
    """What mmcv's environment report prints; never fails, unlike other unknowns."""
    return 'n/a (torchvision fallback of uniformer_backbones)'


def get_compiling_cuda_version() -> str:
    """As :func:`get_compiler_version`."""
    return 'n/a'


OPS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            nms,
            softnms,
            mmcv_roi.roi_align_forward,
            mmcv_roi.roi_align_backward,
            mmcv_roi.roi_pool_forward,
            mmcv_roi.roi_pool_backward,
            mmcv_deform.deform_conv_forward,
            mmcv_deform.deform_conv_backward_input,
            mmcv_deform.deform_conv_backward_parameters,
            mmcv_deform.modulated_deform_conv_forward,
            mmcv_deform.modulated_deform_conv_backward,
            mmcv_deform.ms_deform_attn_forward,
            mmcv_deform.ms_deform_attn_backward,
            sigmoid_focal_loss_forward,
            sigmoid_focal_loss_backward,
            softmax_focal_loss_forward,
            softmax_focal_loss_backward,
            get_compiler_version,
            get_compiling_cuda_version,
        )
    }
)


def find_op(name: str) -> Callable[..., Any]:
    """Return the operator, or a function that says it needs the compiled mmcv."""

    def missing(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f'mmcv op {name!r} has no fallback: {REMEDY}')

    return OPS.get(name, missing)
