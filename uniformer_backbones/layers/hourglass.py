"""Blocks of the hourglass (light) variants: a class token decides which tokens matter.

XXS and XS of the official release, after Evo-ViT, arXiv:2108.01390. Like the other
blocks they map ``(B, *S, C)`` to the same shape, for images and clips; what else goes
from block to block is an argument and a result, a :class:`TokenState`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from uniformer_backbones.layers.block import GlobalBlock
from uniformer_backbones.layers.relation import GlobalMHRA
from uniformer_backbones.layers.shrinking import (
    choose_tokens,
    count_kept,
    merge_dropped,
    put_tokens,
    take_tokens,
    update_scores,
)


class TokenState(NamedTuple):
    """What the blocks of the hourglass variants hand on beside the map.

    Attributes:
        cls_token: ``(B, 1, C)``.
        scores: ``(B, L)``, one of each token of the map, at least float32; ``None``
            before the first block.
    """

    cls_token: Tensor
    scores: Tensor | None


class ClassTokenMHRA(GlobalMHRA):
    """Global relation aggregator that tells how its first token attends.

    Arguments are those of :class:`GlobalMHRA`. Only the first token's row of the
    attention map is computed, next to the fused attention: memory stays linear.

    Shape:
        ``(B, L, C)`` to ``(B, L, C)`` and ``(B, L)``: the first token's attention after
        the softmax, before dropout, as the mean over heads; at least float32.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Map ``(B, L, C)`` to ``(B, L, C)`` and ``(B, L)``."""
        qkv = self.qkv(x)
        out = self.proj_drop(self.proj(self.attend(qkv)))
        query, key, _ = qkv.unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        query = query[:, :1].transpose(1, 2)  # (B, heads, 1, d)
        logits = (query * query.shape[-1] ** -0.5) @ key.permute(0, 2, 3, 1)
        dtype = torch.promote_types(logits.dtype, torch.float32)
        return out, logits.softmax(-1, dtype=dtype).mean(1).squeeze(1)


class ClassTokenBlock(GlobalBlock):
    """Global block with a class token, in which all tokens attend to all.

    The arguments are those of :class:`GlobalBlock`; ``attn`` is a
    :class:`ClassTokenMHRA`.

    Args:
        trade_off: weight of this block's attention in the running scores.
        **kwargs: as for :class:`GlobalBlock`.

    Shape:
        A map ``(B, *S, C)`` and a :class:`TokenState` to the same.
    """

    def __init__(
        self,
        dim: int,
        ndim: int,
        hidden: int,
        attn: ClassTokenMHRA,
        drop: float = 0.0,
        drop_path: float = 0.0,
        scale_init: float | None = None,
        eps: float = 1e-6,
        trade_off: float = 0.5,
    ) -> None:
        super().__init__(dim, ndim, hidden, attn, drop, drop_path, scale_init, eps)
        self.trade_off = trade_off

    def forward(  # type: ignore[override]
        self, x: Tensor, state: TokenState
    ) -> tuple[Tensor, TokenState]:
        """Map ``(B, *S, C)`` to ``(B, *S, C)``; the state goes along."""
        x = x + self.pos_embed(x)
        tokens, state = self.mix_tokens(x.flatten(1, -2), state)
        return tokens.view(x.shape), state

    def mix_tokens(
        self, tokens: Tensor, state: TokenState
    ) -> tuple[Tensor, TokenState]:
        """Update all of ``(B, L, C)`` and the class token."""
        tokens, _, _, attention = self.update(
            torch.cat([state.cls_token, tokens], dim=1)
        )
        scores = update_scores(state.scores, attention[:, 1:], self.trade_off)
        return tokens[:, 1:], TokenState(tokens[:, :1], scores)

    def update(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Attention and FFN; their raw branches and the first token's attention too."""
        mixed, attention = self.attn(self.norm1(tokens))
        tokens = self.residual(tokens, mixed, self.gamma_1)
        expanded = self.mlp(self.norm2(tokens))
        tokens = self.residual(tokens, expanded, self.gamma_2)
        return tokens, mixed, expanded, attention


class ShrinkingBlock(ClassTokenBlock):
    """Block with a class token that updates only the tokens that matter.

    The tokens of the highest scores, one that stands for all others, and the class
    token go through attention and FFN (slow update). Each of the others gets what
    their representative got (fast update), without stochastic depth.

    Args:
        keep_ratio: share of the tokens that is kept, in (0, 1). With one token on the
            map none is kept and the representative is that token.
        **kwargs: as for :class:`ClassTokenBlock`.

    Layer scale has two official forms: in images the fast update has a vector of its
    own, ``gamma_3``; in clips it takes those of the two branches.

    Source:
        Official keys ``gamma_1``, ``gamma_2``, ``gamma_3``. The official code takes the
        representative for a position when there are one or two; here it never is.
    """

    gamma_3: nn.Parameter | None

    def __init__(
        self,
        dim: int,
        ndim: int,
        hidden: int,
        attn: ClassTokenMHRA,
        drop: float = 0.0,
        drop_path: float = 0.0,
        scale_init: float | None = None,
        eps: float = 1e-6,
        trade_off: float = 0.5,
        keep_ratio: float = 0.5,
    ) -> None:
        super().__init__(
            dim, ndim, hidden, attn, drop, drop_path, scale_init, eps, trade_off
        )
        self.keep_ratio = keep_ratio
        own = scale_init is not None and ndim == 2
        gamma = (
            nn.Parameter(torch.full((dim,), float(scale_init or 0))) if own else None
        )
        self.register_parameter('gamma_3', gamma)

    def mix_tokens(
        self, tokens: Tensor, state: TokenState
    ) -> tuple[Tensor, TokenState]:
        """Update all of ``(B, L, C)`` and the class token."""
        scores = state.scores
        if scores is None:
            raise ValueError('a ShrinkingBlock needs scores; none are given')
        kept = choose_tokens(scores, count_kept(tokens.shape[1], self.keep_ratio))
        sequence = [
            state.cls_token,
            take_tokens(tokens, kept),
            merge_dropped(tokens, scores, kept).to(tokens.dtype),
        ]
        slow, mixed, expanded, attention = self.update(torch.cat(sequence, dim=1))
        fast = self.fast_update(mixed[:, -1:], expanded[:, -1:])
        tokens = put_tokens(tokens + fast, kept, slow[:, 1:-1])
        new = update_scores(scores.gather(1, kept), attention[:, 1:-1], self.trade_off)
        return tokens, TokenState(slow[:, :1], scores.scatter(1, kept, new))

    def fast_update(self, mixed: Tensor, expanded: Tensor) -> Tensor:
        """What the dropped tokens get of the representative's two branches."""
        if self.gamma_3 is not None:
            return self.gamma_3 * (mixed + expanded)
        if self.gamma_1 is not None and self.gamma_2 is not None:
            return self.gamma_1 * mixed + self.gamma_2 * expanded
        return mixed + expanded
