"""UniFormer blocks: dynamic position embedding, relation aggregator, FFN.

arXiv:2201.09450, equations 2-4. Every block maps a channels-last map
``(B, *S, C)`` to the same shape and keeps the official parameter names.
"""

from collections.abc import Callable
from functools import partial

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from uniformer_backbones.layers.embedding import DynamicPositionEmbedding
from uniformer_backbones.layers.nd import (
    PointwiseConv,
    batch_norm_nd,
    channels_first,
)
from uniformer_backbones.layers.relation import GlobalMHRA, LocalMHRA


class FFN(nn.Module):
    """Feed-forward network: expansion, exact GELU, reduction.

    Args:
        dim: channels C, in and out.
        hidden: channels in between.
        linear: makes a layer from (channels in, channels out).
        drop: dropout after both layers.

    Source:
        Official keys ``mlp.fc1``, ``mlp.fc2``.
    """

    def __init__(
        self,
        dim: int,
        hidden: int,
        linear: Callable[[int, int], nn.Module] = nn.Linear,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.fc1 = linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = linear(hidden, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., C)`` to ``(..., C)``."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class Residual(nn.Module):
    """Mixin of the blocks: stochastic depth and layer scale of their branches."""

    gamma_1: nn.Parameter | None
    gamma_2: nn.Parameter | None

    def add_residual(
        self, drop_path: float, scale_init: float | None, scale_shape: tuple[int, ...]
    ) -> None:
        """Make what :meth:`residual` uses.

        Args:
            drop_path: probability to drop a branch, per sample.
            scale_init: initial value of the layer scale, ``None`` for none.
            scale_shape: shape of its two vectors in the state dict.
        """
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()
        for name in ('gamma_1', 'gamma_2'):
            gamma = (
                None
                if scale_init is None
                else nn.Parameter(torch.full(scale_shape, float(scale_init)))
            )
            self.register_parameter(name, gamma)

    def residual(self, x: Tensor, branch: Tensor, gamma: Tensor | None) -> Tensor:
        """``x + drop_path(gamma * branch)`` on ``(B, *S, C)``."""
        if gamma is not None:
            branch = branch * gamma.flatten()
        return x + self.drop_path(branch)


class LocalBlock(LocalMHRA, Residual):
    """Local block of stages 1 and 2: DPE, local MHRA and convolutional FFN, BatchNorm.

    Args:
        dim: channels C, in and out.
        ndim: 2 for images, 3 for clips.
        hidden: channels inside the FFN.
        drop: dropout inside the FFN.
        drop_path: stochastic depth, per sample.
        scale_init: initial layer scale, ``None`` for no layer scale.

    Shape:
        ``(B, *S, C)`` to the same shape.

    Source:
        arXiv:2201.09450, section 3.2; official class ``CBlock``. It is a
        :class:`LocalMHRA` because the official keys of that part are flat.
    """

    def __init__(
        self,
        dim: int,
        ndim: int,
        hidden: int,
        drop: float = 0.0,
        drop_path: float = 0.0,
        scale_init: float | None = None,
    ) -> None:
        super().__init__(dim, ndim)
        self.pos_embed = DynamicPositionEmbedding(dim, ndim)
        self.norm1 = batch_norm_nd(ndim)(dim)
        self.norm2 = batch_norm_nd(ndim)(dim)
        self.mlp = FFN(dim, hidden, partial(PointwiseConv, ndim=ndim), drop)
        self.add_residual(drop_path, scale_init, (1, dim, *(1,) * ndim))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C)`` to ``(B, *S, C)``."""
        x = x + self.pos_embed(x)
        mixed = super().forward(channels_first(self.norm1, x))
        x = self.residual(x, mixed, self.gamma_1)
        return self.residual(x, self.mlp(channels_first(self.norm2, x)), self.gamma_2)


class GlobalBlock(Residual):
    """Block of stages 3 and 4: DPE, attention among tokens and FFN, LayerNorm.

    Args:
        dim: channels C, in and out.
        ndim: 2 for images, 3 for clips.
        hidden: channels inside the FFN.
        attn: relation aggregator on ``(B, *S, C)``: :class:`GlobalMHRA` or
            :class:`~uniformer_backbones.layers.relation.WindowMHRA`.
        drop: dropout inside the FFN.
        drop_path: stochastic depth, per sample.
        scale_init: initial layer scale, ``None`` for no layer scale.
        eps: of both LayerNorms.

    Shape:
        ``(B, *S, C)`` to the same shape.

    Source:
        arXiv:2201.09450, section 3.2; official classes ``SABlock``,
        ``SABlock_Windows``.
    """

    def __init__(
        self,
        dim: int,
        ndim: int,
        hidden: int,
        attn: GlobalMHRA,
        drop: float = 0.0,
        drop_path: float = 0.0,
        scale_init: float | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.pos_embed = DynamicPositionEmbedding(dim, ndim)
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = attn
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = FFN(dim, hidden, nn.Linear, drop)
        self.add_residual(drop_path, scale_init, (dim,))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C)`` to ``(B, *S, C)``."""
        x = x + self.pos_embed(x)
        x = self.residual(x, self.attn(self.norm1(x)), self.gamma_1)
        return self.residual(x, self.mlp(self.norm2(x)), self.gamma_2)


class DividedBlock(GlobalBlock):
    """Divided space-time block: attention over time, then over space.

    The spatial branch reads the output of the temporal one, but its residual is the
    block's input: the temporal branch acts only through the spatial attention. That
    is the official definition. Stochastic depth is drawn per (sample, position) in the
    temporal branch, per (sample, frame) in the spatial one, per sample in the FFN.

    Args:
        t_attn: relation aggregator of the time axis.
        **kwargs: as for :class:`GlobalBlock`.

    Shape:
        ``(B, T, H, W, C)`` to the same shape.

    Source:
        Official video code, ``Split_SABlock``; keys ``t_norm``, ``t_attn``.
    """

    def __init__(
        self,
        dim: int,
        ndim: int,
        hidden: int,
        attn: GlobalMHRA,
        t_attn: GlobalMHRA,
        drop: float = 0.0,
        drop_path: float = 0.0,
        scale_init: float | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(dim, ndim, hidden, attn, drop, drop_path, scale_init, eps)
        self.t_norm = nn.LayerNorm(dim, eps=eps)
        self.t_attn = t_attn

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, T, H, W, C)`` to ``(B, T, H, W, C)``."""
        x = x + self.pos_embed(x)
        batch, frames, height, width, dim = x.shape
        along_time = x.flatten(2, 3).transpose(1, 2).flatten(0, 1)  # (B*H*W, T, C)
        mixed = self.residual(along_time, self.t_attn(self.t_norm(along_time)), None)
        mixed = mixed.view(batch, height * width, frames, dim).transpose(1, 2)
        mixed = self.attn(self.norm1(mixed).flatten(0, 1))  # (B*T, H*W, C)
        per_frame = x.reshape(mixed.shape)
        x = self.residual(per_frame, mixed, self.gamma_1).view(x.shape)
        return self.residual(x, self.mlp(self.norm2(x)), self.gamma_2)
