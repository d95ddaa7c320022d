"""Key names to write: the official ones into those of any code base that reads them."""

import re
from collections.abc import Mapping

from torch import Tensor

from uniformer_backbones.weights.keys import is_backbone_key

LAYOUTS = ('mmengine', 'official', 'openmixup', 'backbone')
# Entries of the official checkpoints; the heads of dense tasks stand beside a backbone.
OFFICIAL_CONTAINERS = {'classification': 'model', 'video': 'model_state'}
DENSE_TASKS = ('detection', 'segmentation', 'pose')
# Heads that the official models have on top, and OpenMMLab's models in their head.
INNER_HEADS = re.compile(r'(aux_head|norm_cls|head_cls)\.')
CLASSIFIER = re.compile(r'head\.(weight|bias)$')
OPENMIXUP = (
    (re.compile(r'^(patch_embed[1-4])\.proj\.'), r'\1.projection.'),
    (re.compile(r'^(blocks[1-4]\.\d+)\.mlp\.'), r'\1.ffn.'),
    (re.compile(r'^(blocks[12]\.\d+)\.norm([12])\.'), r'\1.bn\2.'),
    (re.compile(r'^(blocks[34]\.\d+)\.norm([12])\.'), r'\1.ln\2.'),
    (re.compile(r'^norm\.'), 'norm3.'),
)


def rename(key: str, layout: str, task: str, ndim: int = 2) -> str | None:
    """Name of an official key in a layout.

    Args:
        key: an official name.
        layout: ``'mmengine'`` (today's mmpretrain, mmaction2, mmdet, mmseg, mmpose),
            ``'official'``, ``'openmixup'`` or ``'backbone'`` (no heads, no prefix).
        task: as in :class:`~uniformer_backbones.weights.Identity`.
        ndim: 3 for clips, whose classifier mmaction2 calls ``cls_head``.

    Returns:
        The new name; ``None`` where the layout has no place for it.

    Examples:
        >>> rename('head.weight', 'mmengine', 'classification')
        'head.fc.weight'
        >>> rename('blocks1.0.norm1.bias', 'openmixup', 'classification')
        'backbone.blocks1.0.bn1.bias'
    """
    if layout == 'backbone':
        return key if is_backbone_key(key) else None
    if layout == 'mmengine':
        return _to_mmengine(key, ndim)
    if layout == 'openmixup':
        return _to_openmixup(key)
    if task not in DENSE_TASKS:
        return key
    if is_backbone_key(key):
        return f'backbone.{key}'
    # MMPose 0.x, which the official files are of, called its head keypoint_head.
    return re.sub(r'^head\.', 'keypoint_head.', key) if task == 'pose' else key


def _to_mmengine(key: str, ndim: int) -> str | None:
    if key.startswith('openmixup_norm'):
        return None
    if is_backbone_key(key):
        return f'backbone.{key}'
    owner, linear = ('cls_head', 'fc_cls') if ndim == 3 else ('head', 'fc')
    if CLASSIFIER.match(key):
        return key.replace('head.', f'{owner}.{linear}.')
    if INNER_HEADS.match(key):
        return f'{owner}.{key}'
    return re.sub(r'^keypoint_head\.', 'head.', key)


def _to_openmixup(key: str) -> str | None:
    if CLASSIFIER.match(key):
        return key.replace('head.', 'head.fc.')
    if key.startswith('openmixup_norm'):
        return f'backbone.{key.removeprefix("openmixup_")}'
    # norm1-norm4 are LayerNorms; OpenMixup's of these names are BatchNorms.
    if not is_backbone_key(key) or re.match(r'norm[1-4]\.', key):
        return None
    for pattern, replacement in OPENMIXUP:
        key = pattern.sub(replacement, key)
    return f'backbone.{key}'


def container_of(layout: str, task: str) -> str:
    """Entry of a ``.pth`` file that holds the weights in a layout."""
    is_official = layout == 'official'
    return OFFICIAL_CONTAINERS.get(task, 'state_dict') if is_official else 'state_dict'


def rename_all(
    weights: Mapping[str, Tensor], layout: str, task: str, ndim: int
) -> tuple[dict[str, Tensor], list[str]]:
    """Rename official keys; also list those that have no place in the layout."""
    renamed, dropped = {}, []
    for key, tensor in weights.items():
        name = rename(key, layout, task, ndim)
        if name is None:
            dropped.append(key)
        else:
            renamed[name] = tensor
    return renamed, dropped
