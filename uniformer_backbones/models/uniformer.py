"""UniFormer: one backbone for images and clips.

arXiv:2201.04676 (video), arXiv:2201.09450 (all tasks).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from uniformer_backbones.layers.embedding import make_embedding
from uniformer_backbones.layers.hourglass import TokenState
from uniformer_backbones.layers.nd import batch_norm_nd, channels_first, check_ndim
from uniformer_backbones.layers.recompute import checkpoint_block
from uniformer_backbones.layers.shrinking import pool_scores
from uniformer_backbones.models.arch import LAYER_SCALES, Arch, find_arch
from uniformer_backbones.models.arguments import (
    check_attention,
    check_choice,
    check_frozen_stages,
    check_input,
    check_out_indices,
    check_positive,
    check_with_cp,
)
from uniformer_backbones.models.initial import reset_parameters
from uniformer_backbones.models.stages import build_blocks
from uniformer_backbones.registry import MODELS

OUT_NORMS = ('batch', 'layer', 'none')
STAGES = (1, 2, 3, 4)
Mixing = Callable[[Tensor], Tensor]


@MODELS.register_module()
class UniFormer(BaseModule):
    """Four stages of UniFormer blocks, for images (``ndim=2``) or clips (``ndim=3``).

    Stages 1 and 2 aggregate locally with convolutions, stages 3 and 4 with attention.

    Args:
        arch: a name of :func:`~uniformer_backbones.list_archs`, or a dict with the
            fields of :class:`~uniformer_backbones.models.arch.Arch`.
        ndim: 2 for images, 3 for clips.
        in_channels: channels of the input.
        head_dim: channels per head; overrides the arch's. A checkpoint does not tell.
        attention: relation type of stage 3: ``'global'``, ``'window'`` or ``'hybrid'``
            (windows, every ``hybrid_period``-th block global); or ``'divided'``
            space-time attention in stages 3 and 4 (clips only).
        window_size: side of a window in tokens.
        hybrid_period: distance of the global blocks of ``'hybrid'``; the official 4.
        temporal_overlap: clips only: patch embeddings 2-4 span three frames (official
            ``std``) instead of one.
        layer_scale: which blocks have it, ``'none'``, ``'global'`` or ``'all'``;
            overrides the arch's.
        layer_scale_init: its initial value.
        qkv_bias: biases of query, key and value.
        drop_rate: dropout after embedding 1, attention and FFN layers.
        attn_drop_rate: dropout of attention maps.
        drop_path_rate: stochastic depth of the last block; linear from 0 at the first.
        out_indices: stages (0-based) whose maps are returned.
        out_cls_token: hourglass archs only: the class token comes after the maps.
        out_norm: ``'batch'``: BatchNorm ``norm`` on the last stage (classification,
            video); ``'layer'``: a LayerNorm ``norm{i}`` on every returned stage (dense
            tasks); ``'none'``. What is normalised does not feed the next stage.
        norm_eps: of the LayerNorms of blocks and outputs.
        embed_eps: of the LayerNorms of patch embeddings; 1e-5 as released.
        with_cp: activation checkpointing: ``True`` for all blocks, or the number of
            leading blocks of each stage.
        frozen_stages: -1 trains everything, 0 freezes patch embedding 1, ``k`` freezes
            the embeddings and blocks of stages 1 to ``k``. Output norms stay trainable.
        norm_eval: keep all BatchNorms in eval mode while training.
        init_cfg: as in mmengine. ``dict(type='Pretrained', checkpoint=FILE)`` takes any
            published UniFormer file through
            :func:`~uniformer_backbones.load_official`; in a 3D model its optional
            ``inflate`` is ``'average'`` (default) or ``'center'``, and with
            ``new_layer_scale=True`` the file may lack the layer scale.

    Shape:
        Input ``(B, in_channels, *S)`` floating, ``S = (H, W)`` or ``(T, H, W)``; H and
        W at least 32, T at least 1. Output: a tuple of maps ``(B, C_i, *S_i)`` with
        strides 4, 8, 16, 32 in space and 2 in time, in channels_last memory format;
        with ``out_cls_token`` and ``(B, C_4)``, the class token, at its end.

    Raises:
        ValueError: an argument or the input is not as described.

    Source:
        arXiv:2201.09450; parameter names are those of the released code.
    """

    def __init__(
        self,
        arch: str | Mapping[str, Any] | Arch = 'small',
        ndim: int = 2,
        *,
        in_channels: int = 3,
        head_dim: int | None = None,
        attention: str = 'global',
        window_size: int = 14,
        hybrid_period: int = 4,
        temporal_overlap: bool = False,
        layer_scale: str | None = None,
        layer_scale_init: float = 1e-6,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        out_indices: Sequence[int] = (3,),
        out_cls_token: bool = False,
        out_norm: str = 'batch',
        norm_eps: float = 1e-6,
        embed_eps: float = 1e-5,
        with_cp: bool | Sequence[int] = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        configs = [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg or []
        super().__init__([cfg for cfg in configs if cfg['type'] != 'Pretrained'])
        self.pretrained = [cfg for cfg in configs if cfg['type'] == 'Pretrained']
        self.arch = find_arch(arch)
        self.ndim = check_ndim(ndim)
        self.in_channels = in_channels
        check_attention(attention, ndim, temporal_overlap, self.arch.is_hourglass)
        check_choice('out_norm', out_norm, OUT_NORMS)
        scaled = layer_scale or self.arch.layer_scale
        check_choice('layer_scale', scaled, LAYER_SCALES)
        if out_cls_token and not self.arch.is_hourglass:
            raise ValueError(
                'out_cls_token is for hourglass archs (xxs, xs); '
                f'this one has no class token: {arch!r}'
            )
        self.out_cls_token = out_cls_token
        if head_dim is not None:
            check_positive('head_dim', head_dim)
        check_positive('in_channels', in_channels)
        check_positive('window_size', window_size)
        check_positive('hybrid_period', hybrid_period)
        self.out_indices = check_out_indices(out_indices)
        self.frozen_stages = check_frozen_stages(frozen_stages)
        self.norm_eval = norm_eval
        dims, depths = self.arch.embed_dims, self.arch.depths
        self.checkpointed = check_with_cp(with_cp, depths)

        relation = {
            'head_dim': self.arch.head_dim if head_dim is None else head_dim,
            'qkv_bias': qkv_bias,
            'attn_drop': attn_drop_rate,
            'proj_drop': drop_rate,
        }
        rates = iter(
            torch.linspace(0, drop_path_rate, sum(depths), device='cpu').tolist()
        )
        for stage, dim in zip(STAGES, dims, strict=True):
            width = in_channels if stage == 1 else dims[stage - 2]
            self.add_module(
                f'patch_embed{stage}',
                make_embedding(
                    stage,
                    ndim,
                    width,
                    dim,
                    self.arch.conv_stem and not (self.arch.is_hourglass and stage > 1),
                    temporal_overlap,
                    embed_eps,
                ),
            )
            has_scale = scaled == 'all' or (scaled == 'global' and stage > 2)
            self.add_module(
                f'blocks{stage}',
                build_blocks(
                    stage,
                    self.arch,
                    ndim,
                    rates,
                    attention=attention,
                    window_size=window_size,
                    hybrid_period=hybrid_period,
                    scale_init=layer_scale_init if has_scale else None,
                    norm_eps=norm_eps,
                    drop=drop_rate,
                    relation=relation,
                ),
            )
        if self.arch.is_hourglass:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dims[2]))
            self.cls_upsample = nn.Linear(dims[2], dims[3])
        self.pos_drop = nn.Dropout(drop_rate)
        self._add_out_norms(out_norm, norm_eps)
        reset_parameters(self)
        self._freeze()

    def _add_out_norms(self, out_norm: str, eps: float) -> None:
        """Build the norms of the outputs asked for, under their official names."""
        self._out_norm_names: dict[int, str] = {}
        for index in self.out_indices:
            dim = self.arch.embed_dims[index]
            norm: nn.Module
            if out_norm == 'layer':
                name, norm = f'norm{index + 1}', nn.LayerNorm(dim, eps=eps)
            elif out_norm == 'batch' and index == 3:
                name, norm = 'norm', batch_norm_nd(self.ndim)(dim)
            else:
                continue
            self._out_norm_names[index] = name
            self.add_module(name, norm)

    def init_weights(self) -> None:
        """Apply ``init_cfg``; ``Pretrained`` takes any published UniFormer file."""
        from uniformer_backbones.weights import load_official

        super().init_weights()
        for cfg in self.pretrained:
            load_official(
                self,
                cfg['checkpoint'],
                inflate=cfg.get('inflate') or 'average',
                new_layer_scale=cfg.get('new_layer_scale', False),
            )

    def _frozen_modules(self) -> Iterator[nn.Module]:
        if self.frozen_stages >= 0:
            yield self.patch_embed1
        for stage in STAGES[: max(self.frozen_stages, 0)]:
            yield getattr(self, f'patch_embed{stage}')
            yield getattr(self, f'blocks{stage}')
        if self.arch.is_hourglass and self.frozen_stages == 4:
            yield self.cls_upsample

    def _freeze(self) -> None:
        for module in self._frozen_modules():
            module.requires_grad_(False).eval()
        if self.arch.is_hourglass and self.frozen_stages >= 3:
            self.cls_token.requires_grad_(False)

    def train(self, mode: bool = True) -> 'UniFormer':
        """Set the mode; ``frozen_stages`` and ``norm_eval`` keep parts in eval."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def forward(self, x: Tensor, mix: Mixing | None = None) -> tuple[Tensor, ...]:
        """Map ``(B, C, *S)`` to one map ``(B, C_i, *S_i)`` per out index.

        ``mix``, for MixToken, changes the map ``(B, *S_1, C_1)`` after embedding 1.
        """
        check_input(x, self.ndim, self.in_channels)
        x = x.movedim(1, -1)  # (B, *S, C), a view
        outs = []
        state: TokenState | None = None
        for index, stage in enumerate(STAGES):
            state = self._enter_stage(stage, x, state)
            x = getattr(self, f'patch_embed{stage}')(x)
            if index == 0:
                x = self.pos_drop(x) if mix is None else mix(self.pos_drop(x))
            for position, block in enumerate(getattr(self, f'blocks{stage}')):
                save_memory = position < self.checkpointed[index] and self.training
                run = partial(checkpoint_block, block) if save_memory else block
                if state is None:
                    x = run(x)
                else:
                    x, state = run(x, state)
            if index in self.out_indices:
                outs.append(self._normalise(x, index).movedim(-1, 1))
        if self.out_cls_token and state is not None:
            outs.append(state.cls_token.squeeze(1))
        return tuple(outs)

    def _enter_stage(
        self, stage: int, x: Tensor, state: TokenState | None
    ) -> TokenState | None:
        """Class token and scores for a stage; ``x`` is the map of the one before."""
        if self.arch.is_hourglass and stage == 3:
            # Copies: PyTorch's module trackers cannot take views of parameters.
            return TokenState(self.cls_token.repeat(x.shape[0], 1, 1), None)
        if state is None or state.scores is None:
            return None
        scores = pool_scores(state.scores, x.shape[1:-1])
        return TokenState(self.cls_upsample(state.cls_token), scores)

    def _normalise(self, x: Tensor, index: int) -> Tensor:
        name = self._out_norm_names.get(index)
        if name is None:
            return x
        norm = getattr(self, name)
        return norm(x) if isinstance(norm, nn.LayerNorm) else channels_first(norm, x)
