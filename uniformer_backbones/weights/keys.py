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
    (re.compile(r'^head\.fc\.'), 'head.'),
)


def unwrap(payload: Mapping[str, Any], ema: bool = False) -> dict[str, Tensor]:
    """Weights of a checkpoint, out of the container that its code base uses.

    Args:
        payload: a loaded file: a state dict or a mapping that holds one.
        ema: prefer the exponential moving average where the file has one.

    Returns:
        Key to tensor, without leading ``module.``; non-tensors are left out.

    Raises:
        ValueError: nothing in it looks like weights.
    """
    order = EMA_CONTAINERS + CONTAINERS if ema else CONTAINERS + EMA_CONTAINERS
    for name in order:
        if isinstance(payload.get(name), Mapping):
            payload = payload[name]
            break
    weights = {
        key.removeprefix('module.'): value
        for key, value in payload.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }
    if not weights:
        raise ValueError(
            'the checkpoint holds no weights; its entries are '
            f'{sorted(map(str, payload))[:8]}'
        )
    return weights


def to_official(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the keys of any known code base to the official names.

    ``backbone.`` is dropped; OpenMixup's and MMAction2's names are translated; the
    keys of detection, segmentation and pose heads stay as they are.
    """
    keys = {key: key.removeprefix('backbone.') for key in weights}
    if any(OPENMIXUP_MARK.match(key) for key in keys.values()):
        keys = {key: _rename_openmixup(name) for key, name in keys.items()}
    return {
        re.sub(r'^cls_head\.fc_cls\.', 'head.', name): weights[key]
        for key, name in keys.items()
    }


def _rename_openmixup(key: str) -> str:
    for pattern, replacement in OPENMIXUP_RULES:
        key = pattern.sub(replacement, key)
    return key


def is_backbone_key(key: str) -> bool:
    """Whether an official name belongs to the backbone rather than to a head."""
    return BACKBONE_KEY.match(key) is not None


def describe(weights: Mapping[str, Tensor]) -> str:
    """Depths and widths read from official names, for messages.

    Returns:
        For example ``depths 3,4,8,3, widths 64,128,320,512, images``; a question
        mark stands for what cannot be read.
    """
    depths, widths = [], []
    for stage in range(1, 5):
        found = [
            int(m[1])
            for key in weights
            if (m := re.match(rf'blocks{stage}\.(\d+)\.', key))
        ]
        depths.append(str(max(found) + 1) if found else '?')
        width = weights.get(f'blocks{stage}.0.pos_embed.bias')
        widths.append('?' if width is None else str(len(width)))
    position = weights.get('blocks1.0.pos_embed.weight')
    kind = 'clips' if position is not None and position.dim() == 5 else 'images'
    return f'depths {",".join(depths)}, widths {",".join(widths)}, {kind}'
