"""Key names of published UniFormer files: containers, prefixes, other code bases.

The official names are ours too (they are a file format), so most files need no map.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

CONTAINERS = ('state_dict', 'model_state', 'model')
EMA_CONTAINERS = ('state_dict_ema', 'model_ema')
BACKBONE_KEY = re.compile(
    r'(patch_embed[1-4]|blocks[1-4]|norm[0-4]?|cls_token|cls_upsample)(\.|$)'
)
# What a model of another task leaves behind or adds. Everything else must match.
OPTIONAL = re.compile(
    r'(norm[0-4]?|norm_cls)\.|.*\.num_batches_tracked$'
    r'|blocks[34]\.\d+\.(t_norm|t_attn)\.'
)
OPENMIXUP_MARK = re.compile(r'blocks[1-4]\.\d+\.(bn|ln)[12]\.')
OPENMIXUP_RULES = (
    (re.compile(r'^(patch_embed[1-4])\.projection\.'), r'\1.proj.'),
    (re.compile(r'^(blocks[1-4]\.\d+)\.ffn\.'), r'\1.mlp.'),
    (re.compile(r'^(blocks[1-4]\.\d+)\.(?:bn|ln)([12])\.'), r'\1.norm\2.'),
    (
        re.compile(r'^norm([0-2])\.'),
        r'openmixup_norm\1.',
    ),  # BatchNorm; not our norm1, 2
    (re.compile(r'^norm3\.'), 'norm.'),
)
# Classifiers: mmaction2 and its like, mmpretrain and OpenMixup; heads that the official
# models have beside it and OpenMMLab models keep in their head.
HEAD_RULES = (
    (re.compile(r'^(?:cls_head\.fc_cls|head\.fc)\.'), 'head.'),
    (re.compile(r'^(?:cls_head|head)\.(aux_head|norm_cls|head_cls)\.'), r'\1.'),
)


def unwrap(payload: Mapping[str, Any], ema: bool = False) -> dict[str, Tensor]:
    """Weights of a checkpoint, out of the container that its code base uses.

    Args:
        payload: a loaded file: a state dict or a mapping that holds one.
        ema: prefer the exponential moving average where the file has one.

    Returns:
        Key to tensor, without leading ``module.`` and the ``_orig_mod.`` of compiled
        modules; non-tensors are left out.

    Raises:
        ValueError: nothing in it looks like weights.
    """
    order = EMA_CONTAINERS + CONTAINERS if ema else CONTAINERS + EMA_CONTAINERS
    for name in order:
        if isinstance(payload.get(name), Mapping):
            payload = payload[name]
            break
    weights = {
        key.replace('_orig_mod.', '').removeprefix('module.'): value
        for key, value in payload.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not weights:
        raise ValueError(
            'the checkpoint holds no weights; its entries are '
            f'{sorted(key for key in payload if isinstance(key, str))[:8]}'
        )
    return weights


def to_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of any known code base to the official names.

    ``backbone.`` is dropped; OpenMixup's names and the classifiers of mmpretrain and
    MMAction2 are translated; the keys of detection, segmentation and pose heads stay.

    Raises:
        ValueError: two tensors would get one name.
    """
    names = {key: key.removeprefix('backbone.') for key in weights}
    is_openmixup = any(OPENMIXUP_MARK.match(name) for name in names.values())
    rules = (*(OPENMIXUP_RULES if is_openmixup else ()), *HEAD_RULES)
    renamed: dict[str, Tensor] = {}
    for key, name in names.items():
        for pattern, replacement in rules:
            name = pattern.sub(replacement, name)
        if name in renamed:
            raise ValueError(f'{key} is there twice, with and without its prefix')
        renamed[name] = weights[key]
    return renamed


def is_backbone_key(key: str) -> bool:
    """Whether an official name belongs to the backbone rather than to a head."""
    return BACKBONE_KEY.match(key) is not None


def is_required(key: str) -> bool:
    """Whether a model of any task has to have a backbone's official key."""
    return is_backbone_key(key) and not OPTIONAL.match(key)


def read_sizes(
    weights: Mapping[str, Tensor],
) -> tuple[tuple[int | None, ...], tuple[int | None, ...]]:
    """Depths and widths of the four stages, from official names.

    Returns:
        Two tuples of four; ``None`` stands for what cannot be read.
    """
    depths: list[int | None] = []
    widths: list[int | None] = []
    for stage in range(1, 5):
        pattern = re.compile(rf'blocks{stage}\.(\d{{1,4}})\.')
        found = [int(m[1]) for key in weights if (m := pattern.match(key))]
        depths.append(max(found) + 1 if found else None)
        width = weights.get(f'blocks{stage}.0.pos_embed.bias')
        widths.append(None if width is None else width.numel())
    return tuple(depths), tuple(widths)


def is_of_clips(weights: Mapping[str, Tensor]) -> bool:
    """Whether the kernels, under official names, have a time axis."""
    position = weights.get('blocks1.0.pos_embed.weight')
    return position is not None and position.dim() == 5


def describe(weights: Mapping[str, Tensor]) -> str:
    """Depths and widths read from official names, for messages.

    Returns:
        For example ``depths 3,4,8,3, widths 64,128,320,512, images``; a question
        mark stands for what cannot be read.
    """
    depths, widths = (
        ','.join('?' if size is None else str(size) for size in sizes)
        for sizes in read_sizes(weights)
    )
    kind = 'clips' if is_of_clips(weights) else 'images'
    return f'depths {depths}, widths {widths}, {kind}'
