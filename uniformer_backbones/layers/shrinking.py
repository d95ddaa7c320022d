"""Token shrinking and recovery: functions on tokens ``(B, L, C)`` and their scores.

A score says how much the class token attends to a token. The tokens of the highest
scores are kept; the others are merged into one that stands for them. Evo-ViT,
arXiv:2108.01390, as the light UniFormers use it. Nothing is written in place and
nothing is remembered between calls.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Small beside any sum of scores, large enough for gradients to stay finite.
LEAST_SUM = 1e-12


def count_kept(tokens: int, keep_ratio: float) -> int:
    """How many of some tokens are kept: their share, rounded down.

    Examples:
        >>> count_kept(49, 0.5)
        24
    """
    return torch.sym_int(tokens * keep_ratio)  # an export has symbols for numbers


def choose_tokens(scores: Tensor, count: int) -> Tensor:
    """Positions of the highest scores, in decreasing order.

    Among equal scores the earlier position comes first, on every device.

    Shape:
        ``(B, L)`` to ``(B, count)``, integers.
    """
    return scores.argsort(dim=1, descending=True, stable=True)[:, :count]


def take_tokens(tokens: Tensor, kept: Tensor) -> Tensor:
    """Tokens at some positions: ``(B, L, C)`` and ``(B, K)`` to ``(B, K, C)``."""
    rows = tokens.flatten(0, 1).index_select(0, _rows(tokens, kept))
    return rows.view(*kept.shape, tokens.shape[-1])


def put_tokens(tokens: Tensor, kept: Tensor, new: Tensor) -> Tensor:
    """A copy of ``(B, L, C)`` with ``(B, K, C)`` at the positions ``(B, K)``."""
    rows = _rows(tokens, kept)
    return (
        tokens.flatten(0, 1).index_copy(0, rows, new.flatten(0, 1)).view(tokens.shape)
    )


def merge_dropped(tokens: Tensor, scores: Tensor, kept: Tensor) -> Tensor:
    """One token for all that are not kept: their mean, weighted by their scores.

    Shape:
        tokens ``(B, L, C)``, scores ``(B, L)``, kept ``(B, K)``; result ``(B, 1, C)``.
        Scores that are all zero give zeros.
    """
    dropped = scores.scatter(1, kept, 0.0)
    weights = dropped / _sum(dropped)
    return weights.unsqueeze(1).to(tokens.dtype) @ tokens


def update_scores(scores: Tensor | None, attention: Tensor, trade_off: float) -> Tensor:
    """Running mean of scores: ``trade_off`` is the weight of the new attention.

    Shape:
        ``(B, L)`` both, or ``None`` for the first scores of a forward pass.
    """
    if scores is None:
        return attention
    return (1 - trade_off) * scores + trade_off * attention


def pool_scores(scores: Tensor, size: Sequence[int]) -> Tensor:
    """Scores of a map of half the height and width; each sample's sum stays.

    Odd sides are floored, as the patch embedding does; time is not pooled.

    Args:
        scores: ``(B, L)``.
        size: ``(*T, H, W)`` of the map, with ``L`` its product.

    Returns:
        ``(B, prod(T) * (H // 2) * (W // 2))``.
    """
    maps = scores.unflatten(1, (-1, *size[-2:]))  # (B, prod(T), H, W)
    pooled = F.avg_pool2d(maps, 2).flatten(1)
    return pooled * (scores.sum(1, keepdim=True) / _sum(pooled))


def _rows(tokens: Tensor, kept: Tensor) -> Tensor:
    """Positions in the tokens of all samples: whole rows copy faster than elements."""
    samples = torch.arange(tokens.shape[0], device=kept.device).unsqueeze(1)
    return (kept + samples * tokens.shape[1]).flatten()


def _sum(scores: Tensor) -> Tensor:
    """Sum of each sample, never zero: attention may underflow."""
    return scores.sum(1, keepdim=True).clamp_min(LEAST_SUM)
