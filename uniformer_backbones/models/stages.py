"""The blocks of a stage: what kind each of them is, and its share of the rates."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from torch import nn

from uniformer_backbones.layers.block import DividedBlock, GlobalBlock, LocalBlock
from uniformer_backbones.layers.hourglass import (
    ClassTokenBlock,
    ClassTokenMHRA,
    ShrinkingBlock,
)
from uniformer_backbones.layers.relation import GlobalMHRA, WindowMHRA
from uniformer_backbones.models.arch import Arch


def build_blocks(
    stage: int,
    arch: Arch,
    ndim: int,
    drop_paths: Iterator[float],
    *,
    attention: str,
    window_size: int,
    hybrid_period: int,
    scale_init: float | None,
    norm_eps: float,
    drop: float,
    relation: dict[str, Any],
) -> nn.ModuleList:
    """Blocks of one stage: local in stages 1 and 2, of the chosen relation after them.

    Args:
        stage: 1 to 4.
        arch: its depth, width and FFN ratio.
        ndim: 2 for images, 3 for clips.
        drop_paths: stochastic depth of the blocks to come, in network order.
        attention: ``'global'``, ``'window'``, ``'hybrid'`` or ``'divided'``.
        window_size: side of a window in tokens.
        hybrid_period: distance of the global blocks of ``'hybrid'``.
        scale_init: initial layer scale, ``None`` for none in this stage.
        norm_eps: of the LayerNorms.
        drop: dropout inside the FFN.
        relation: arguments of :class:`GlobalMHRA` but for the channels.
    """
    dim = arch.embed_dims[stage - 1]
    make_relation = partial(GlobalMHRA, dim, **relation)
    blocks = nn.ModuleList()
    for index in range(arch.depths[stage - 1]):
        parts: dict[str, Any] = {
            'dim': dim,
            'ndim': ndim,
            'hidden': int(dim * arch.mlp_ratio),
            'drop': drop,
            'drop_path': next(drop_paths),
            'scale_init': scale_init,
        }
        if stage < 3:
            blocks.append(LocalBlock(**parts))
            continue
        parts['eps'] = norm_eps
        windowed = stage == 3 and (
            attention == 'window'
            or (attention == 'hybrid' and (index + 1) % hybrid_period)
        )
        if arch.is_hourglass:
            parts.update(attn=ClassTokenMHRA(dim, **relation), trade_off=arch.trade_off)
            # The first block scores all tokens; from then on the best are known.
            blocks.append(
                ClassTokenBlock(**parts)
                if stage == 3 and index == 0
                else ShrinkingBlock(keep_ratio=arch.keep_ratio, **parts)
            )
        elif attention == 'divided':
            blocks.append(
                DividedBlock(attn=make_relation(), t_attn=make_relation(), **parts)
            )
        elif windowed:
            attn = WindowMHRA(dim, window_size=window_size, **relation)
            blocks.append(GlobalBlock(attn=attn, **parts))
        else:
            blocks.append(GlobalBlock(attn=make_relation(), **parts))
    return blocks
