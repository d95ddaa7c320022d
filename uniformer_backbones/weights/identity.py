"""What a UniFormer checkpoint is, from its keys and shapes.

Everything but ``head_dim`` shows in them. The same shapes are published with 32 and 64
channels per head, so it is taken from what somebody wrote: an argument, the metadata,
the file name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from uniformer_backbones.models.arch import ARCHS
from uniformer_backbones.models.uniformer import UniFormer
from uniformer_backbones.weights.head_dim import find_head_dim, head_dims_of
from uniformer_backbones.weights.keys import (
    OPENMIXUP_MARK,
    describe,
    is_backbone_key,
    is_of_clips,
    read_sizes,
    to_official,
)

# The first that matches any key; then the axes and the norm decide.
TASK_MARKS = (
    ('detection', re.compile(r'(roi_head|rpn_head|bbox_head|mask_head)\.')),
    ('segmentation', re.compile(r'decode_head\.')),
    ('pose', re.compile(r'keypoint_head\.|head\.(final_layer|deconv_layers)\.')),
    ('token labeling', re.compile(r'aux_head\.')),
    ('dense backbone', re.compile(r'norm[1-4]\.')),
)
END = re.compile(r'norm[0-4]?\.|.*\.num_batches_tracked$')


@dataclass(frozen=True)
class Identity:
    """What is known of a checkpoint.

    Attributes:
        source: whose names it has: ``'official'``, ``'OpenMixup'`` or ``'OpenMMLab'``.
        task: ``'classification'``, ``'token labeling'``, ``'video'``, ``'detection'``,
            ``'segmentation'``, ``'pose'``, ``'dense backbone'`` or ``'backbone'``.
        ndim: 2 for images, 3 for clips.
        archs: rows of the arch table that have these keys and shapes.
        arguments: of the UniFormer that fits, but for ``head_dim``.
        num_classes: of a linear classifier.
        dtype: of the weights.
        head_dim: channels per head, if anything tells.
        head_dims: the values published with these shapes.
        told_by: where ``head_dim`` is from.
    """

    source: str
    task: str
    ndim: int
    archs: tuple[str, ...]
    arguments: dict[str, Any]
    num_classes: int | None
    dtype: str
    head_dim: int | None = None
    head_dims: tuple[int, ...] = ()
    told_by: str = ''
    _sizes: str = field(default='', repr=False)

    @property
    def is_told(self) -> bool:
        """Whether somebody wrote ``head_dim`` down; the rest is inference."""
        return self.told_by in ('as given', 'from the metadata', 'from the file name')

    @property
    def arch(self) -> str | None:
        """The row of the arch table, of several the one with ``head_dim``."""
        same = [name for name in self.archs if ARCHS[name].head_dim == self.head_dim]
        return next(iter(same or self.archs), None)

    @property
    def model(self) -> dict[str, Any]:
        """Arguments of a UniFormer that takes these weights."""
        arguments = dict(self.arguments)
        if self.arch is None:
            arguments['arch'] = {**arguments['arch'], 'head_dim': self.head_dim}
            return arguments
        arguments['arch'] = self.arch
        if self.head_dim not in (None, ARCHS[self.arch].head_dim):
            arguments['head_dim'] = self.head_dim
        return arguments

    def __str__(self) -> str:
        """One line."""
        kind = 'clips' if self.ndim == 3 else 'images'
        # A table row that is told apart by head_dim alone is not known without it.
        names = [self.arch] if self.head_dim and self.arch else self.archs
        arch = ' or '.join(map(str, names)) or f'an arch of its own ({self._sizes})'
        parts = [f'{self.source} names, {self.task}', arch, kind, self.dtype]
        if self.num_classes is not None:
            parts.append(f'{self.num_classes} classes')
        if self.head_dim is not None:
            parts.append(f'head_dim {self.head_dim} ({self.told_by})')
        elif self.head_dims:
            values = ' or '.join(map(str, self.head_dims))
            parts.append(f'head_dim {values}, which shapes do not tell')
        return ', '.join(parts)


def identify(
    weights: Mapping[str, Tensor],
    name: str = '',
    meta: object = None,
    head_dim: int | None = None,
) -> Identity:
    """Say what a checkpoint is.

    Args:
        weights: its tensors, out of their container, under any known names.
        name: of the file, which may tell ``head_dim``.
        meta: the file's metadata, which may tell it too.
        head_dim: the value, from someone who knows.

    Returns:
        What is known. Nothing is raised for foreign weights: see
        :func:`find_misfit`.

    Raises:
        ValueError: two tensors have one name.

    Examples:
        >>> from uniformer_backbones import UniFormer
        >>> with torch.device('meta'):
        ...     weights = UniFormer('large_ls').state_dict()
        >>> identify(weights).arch, identify(weights).head_dim
        ('large_ls', 64)
    """
    ours = to_official(weights)
    ndim = 3 if is_of_clips(ours) else 2
    task = _find_task(ours, ndim)
    archs, arguments = _find_archs(ours, ndim)
    classifier = ours.get('head.weight')
    if classifier is not None and classifier.dim() != 2:
        classifier = None
    source = _find_source(weights)
    found, told_by = find_head_dim(archs, task, source, name, meta, head_dim)
    return Identity(
        source=source,
        task=task,
        ndim=ndim,
        archs=archs,
        arguments=arguments,
        num_classes=None if classifier is None else classifier.shape[0],
        dtype=_find_dtype(ours),
        head_dim=found,
        head_dims=head_dims_of(archs),
        told_by=told_by,
        _sizes=describe(ours),
    )


def _find_source(weights: Mapping[str, Tensor]) -> str:
    if any(OPENMIXUP_MARK.match(key.removeprefix('backbone.')) for key in weights):
        return 'OpenMixup'
    return (
        'OpenMMLab' if any(k.startswith('backbone.') for k in weights) else 'official'
    )


def _find_task(weights: Mapping[str, Tensor], ndim: int) -> str:
    for task, mark in TASK_MARKS:
        if any(mark.match(key) for key in weights):
            return task
    if ndim == 3:
        return 'video'
    return 'classification' if 'norm.weight' in weights else 'backbone'


def _find_dtype(weights: Mapping[str, Tensor]) -> str:
    kinds = {str(t.dtype)[6:] for t in weights.values() if t.is_floating_point()}
    return ' and '.join(sorted(kinds)) or 'no floating weights'


def _find_archs(
    weights: Mapping[str, Tensor], ndim: int
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Rows of the table with these keys and shapes, and UniFormer's arguments."""
    depths, widths = read_sizes(weights)
    hidden = weights.get('blocks1.0.mlp.fc1.bias')
    facts: dict[str, Any] = {
        'depths': depths,
        'embed_dims': widths,
        'mlp_ratio': 4 if hidden is None else hidden.numel() / (widths[0] or 1),
        'conv_stem': 'patch_embed1.proj.0.weight' in weights,
    }
    is_hourglass = 'cls_token' in weights
    rows = [
        name
        for name, row in ARCHS.items()
        if row.is_hourglass == is_hourglass
        and all(getattr(row, fact) == value for fact, value in facts.items())
    ]
    arguments = _find_arguments(weights, ndim)
    scale = arguments['layer_scale']
    same = [name for name in rows if ARCHS[name].layer_scale == scale]
    if same:
        del arguments['layer_scale']
    elif not rows:
        arguments['arch'] = {**facts, **({'keep_ratio': 0.5} if is_hourglass else {})}
    return tuple(same or rows), arguments


def _find_arguments(weights: Mapping[str, Tensor], ndim: int) -> dict[str, Any]:
    """Arguments of UniFormer that show in keys and shapes, where not the default."""
    local, last = (f'blocks{stage}.0.gamma_1' in weights for stage in (1, 3))
    arguments: dict[str, Any] = {
        'layer_scale': 'all' if local else 'global' if last else 'none'
    }
    if ndim == 3:
        arguments['ndim'] = 3
    stem = weights.get(
        'patch_embed1.proj.weight', weights.get('patch_embed1.proj.0.weight')
    )
    if stem is not None and stem.dim() > 1 and stem.shape[1] != 3:
        arguments['in_channels'] = stem.shape[1]
    second = weights.get('patch_embed2.proj.weight')
    if ndim == 3 and second is not None and second.shape[2:3] == (3,):
        arguments['temporal_overlap'] = True
    if ndim == 3 and 'blocks3.0.t_attn.qkv.weight' in weights:
        arguments['attention'] = 'divided'
    if 'blocks3.0.attn.qkv.bias' not in weights:
        arguments['qkv_bias'] = False
    return arguments


def find_misfit(weights: Mapping[str, Tensor], identity: Identity) -> str | None:
    """Say why a file is not what it seems to be.

    Args:
        weights: tensors under official names.
        identity: what :func:`identify` says of them.

    Returns:
        The first key of the backbone that is missing, too many or of another shape;
        ``None`` when all of them fit.
    """
    depths, widths = read_sizes(weights)
    # A key may claim any number of blocks: none is built that is not there.
    if None in (*depths, *widths) or sum(d or 0 for d in depths) > len(weights):
        return f'no UniFormer is in it ({describe(weights)})'
    arguments = identity.model
    if identity.arch is None:  # one head fits any width
        arguments['arch'] = {**arguments['arch'], 'head_dim': widths[2]}
    try:
        with torch.device('meta'):
            model = UniFormer(**arguments, out_norm='none').state_dict()
    except ValueError as error:
        return str(error)
    ours = {key: value.shape for key, value in model.items() if not END.match(key)}
    theirs = {
        key: value.shape
        for key, value in weights.items()
        if is_backbone_key(key) and not END.match(key)
    }
    for key in (*ours, *theirs):
        if ours.get(key) != theirs.get(key):
            found, wanted = (
                'missing' if shape is None else str(tuple(shape))
                for shape in (theirs.get(key), ours.get(key))
            )
            arch = identity.arch or 'a UniFormer of these depths and widths'
            return f'{key} is {found}, in {arch} {wanted}'
    return None
