"""Published UniFormer files into our models.

Parameter names are the official ones, so loading is a matter of containers, prefixes
and heads. Nothing is skipped in silence: what a task leaves behind (a classifier's
BatchNorm and head in a dense model, say) is listed, anything else is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike, fspath
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from uniformer_backbones.compat.checkpoint import read_checkpoint
from uniformer_backbones.models.uniformer import UniFormer
from uniformer_backbones.weights.inflation import (
    check_mode,
    fits_inflated,
    inflate_kernel,
)
from uniformer_backbones.weights.keys import (
    describe,
    is_backbone_key,
    to_official,
    unwrap,
)

# What a model of another task leaves behind or adds. Everything else must match.
OPTIONAL = re.compile(
    r'(norm[0-4]?|norm_cls)\.|.*\.num_batches_tracked$'
    r'|blocks[34]\.\d+\.(t_norm|t_attn)\.'
)
CLASSIFIERS = ('head.fc.', 'cls_head.fc_cls.', 'head.')


@dataclass
class LoadReport:
    """What :func:`load_official` did with every tensor, by key.

    Attributes:
        loaded: copied as they are.
        inflated: copied with a time axis added.
        dropped: in the file, without a place in the model.
        new: in the model, not in the file; they keep their initial values.
    """

    loaded: list[str] = field(default_factory=list)
    inflated: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line: how many of each, and which modules were dropped or are new."""
        text = f'{len(self.loaded) + len(self.inflated)} tensors taken'
        if self.inflated:
            text += f' ({len(self.inflated)} inflated)'
        for name in ('dropped', 'new'):
            keys = getattr(self, name)
            text += f'; {len(keys)} {name}' + (
                f': {list_modules(keys)}' if keys else ''
            )
        return text


def load_official(
    model: nn.Module,
    checkpoint: str | PathLike[str] | Mapping[str, Any],
    inflate: str = 'average',
    ema: bool = False,
) -> LoadReport:
    """Load a published UniFormer checkpoint, of any task, into a model of any task.

    Args:
        model: a :class:`~uniformer_backbones.UniFormer`, or an OpenMMLab model that has
            one as ``backbone``; then heads of the same kind are loaded too.
        checkpoint: a ``.pth`` or ``.safetensors`` file, or its contents. Containers
            (``model``, ``state_dict``, ``model_state``), ``module.`` and ``backbone.``
            are unwrapped; OpenMixup's and MMAction2's names are understood.
        inflate: how image kernels become kernels of clips in a 3D model: ``'average'``
            (official) or ``'center'``.
        ema: take the exponential moving average where the file has one.

    Returns:
        What was loaded, inflated, dropped and what is new. It is logged as well.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint, is of another arch, has or lacks layer
            scale, or a 3D one is given to a 2D model. The message names a key. The
            model is unchanged then.

    Source:
        Official loaders of the five tasks; the video one inflates with ``'average'``.
    """
    check_mode(inflate)
    name = 'checkpoint'
    if not isinstance(checkpoint, Mapping):
        name = fspath(checkpoint)
        checkpoint = read_checkpoint(checkpoint)
    try:
        weights = to_official(unwrap(checkpoint, ema))
        state, report = _match(weights, model, inflate)
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None
    model.load_state_dict(state, strict=False)
    print_log(f'{name}: {report}', logger='current')
    return report


def _match(
    weights: Mapping[str, Tensor], model: nn.Module, inflate: str
) -> tuple[dict[str, Tensor], LoadReport]:
    """Find a place for every tensor, or a reason why it has none."""
    target = model.state_dict()
    prefix = '' if isinstance(model, UniFormer) else 'backbone.'
    if not any(is_backbone_key(key.removeprefix(prefix)) for key in target):
        raise ValueError(f'{type(model).__name__} has no UniFormer backbone')
    taken: dict[str, Tensor] = {}
    report = LoadReport()
    misfits: list[tuple[str, str]] = []
    for key, tensor in weights.items():
        place = _place(key, prefix, target)
        required = is_backbone_key(key) and not OPTIONAL.match(key)
        shape = None if place is None else target[place].shape
        if place is not None and tensor.shape == shape:
            taken[place] = tensor
            report.loaded.append(key)
        elif place is not None and fits_inflated(tensor.shape, target[place].shape):
            # In the model's precision: a share of a half-precision kernel would round.
            kernel = tensor.to(target[place])
            taken[place] = inflate_kernel(kernel, target[place].shape[2], inflate)
            report.inflated.append(key)
        elif required:
            what = (
                f'is {tuple(tensor.shape)}, not {tuple(shape)}'
                if shape
                else ('is not in the model')
            )
            misfits.append((key, what))
        else:  # another task's head or norm, or another number of classes
            report.dropped.append(key)
    for place in (name for name in target if name not in taken):
        key = place.removeprefix(prefix)
        ours = place.startswith(prefix) and is_backbone_key(key)
        if ours and not OPTIONAL.match(key):
            misfits.append((key, 'is not in the checkpoint'))
    if misfits:
        raise _misfit(*misfits[0], weights, target, prefix)
    report.new = [
        place
        for place in target
        if place not in taken and not place.endswith('num_batches_tracked')
    ]
    return taken, report


def _place(key: str, prefix: str, target: Mapping[str, Tensor]) -> str | None:
    """Name in the model of an official key."""
    if is_backbone_key(key):
        candidates = [prefix + key]
    elif key.startswith('head.') and key.count('.') == 1:  # the linear classifier
        candidates = [head + key.removeprefix('head.') for head in CLASSIFIERS]
    else:  # MMPose 0.x called its head keypoint_head
        candidates = [key, key.replace('keypoint_head.', 'head.')]
    return next((name for name in candidates if name in target), None)


def _misfit(
    key: str,
    what: str,
    weights: Mapping[str, Tensor],
    target: Mapping[str, Tensor],
    prefix: str,
) -> ValueError:
    ours = {name.removeprefix(prefix): tensor for name, tensor in target.items()}
    text = f'{key} {what}'
    if '.gamma_' in key:
        text += '; the layer scales differ: see the argument layer_scale of UniFormer'
    return ValueError(
        f'{text} (the checkpoint has {describe(weights)}; '
        f'the model has {describe(ours)})'
    )


def list_modules(keys: list[str]) -> str:
    """Top-level modules of some keys with their numbers of tensors.

    Examples:
        >>> list_modules(['norm.weight', 'norm.bias', 'head.bias'])
        'norm (2), head (1)'
    """
    counts: dict[str, int] = {}
    for key in keys:
        module = key.removeprefix('backbone.').split('.')[0]
        counts[module] = counts.get(module, 0) + 1
    return ', '.join(f'{module} ({count})' for module, count in counts.items())
