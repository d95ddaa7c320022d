"""Published UniFormer files into our models.

Parameter names are the official ones, so loading is a matter of containers, prefixes
and heads. Nothing is skipped in silence: what a task leaves behind (a classifier's
BatchNorm and head in a dense model, say) is listed, anything else is refused.
"""

import logging
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from uniformer_backbones.compat.checkpoint import read_checkpoint
from uniformer_backbones.models.uniformer import UniFormer
from uniformer_backbones.weights.checks import check_finite, check_plain
from uniformer_backbones.weights.identity import Identity, identify
from uniformer_backbones.weights.inflation import (
    check_mode,
    fits_inflated,
    inflate_kernel,
)
from uniformer_backbones.weights.keys import (
    describe,
    is_backbone_key,
    is_required,
    to_official,
    unwrap,
)
from uniformer_backbones.weights.report import LoadReport, list_modules

__all__ = ['LoadReport', 'list_modules', 'load_official']

CLASSIFIERS = ('head.fc.', 'cls_head.fc_cls.', 'head.')
OWNERS = ('', 'head.', 'cls_head.')


def load_official(
    model: nn.Module,
    checkpoint: str | PathLike[str] | Mapping[str, Any],
    inflate: str = 'average',
    ema: bool = False,
    strict: bool = False,
    new_layer_scale: bool = False,
) -> LoadReport:
    """Load a published UniFormer checkpoint, of any task, into a model of any task.

    Args:
        model: a :class:`~uniformer_backbones.UniFormer`, or a model that has one, as
            the OpenMMLab models' ``backbone``; then heads of the same kind are loaded
            too.
        checkpoint: a ``.pth`` or ``.safetensors`` file, or its contents. Containers
            (``model``, ``state_dict``, ``model_state``), ``module.`` and ``backbone.``
            are unwrapped; the names of OpenMixup, mmpretrain, MMAction2 and MMPose 0.x
            are understood.
        inflate: how image kernels become kernels of clips in a 3D model: ``'average'``
            (official) or ``'center'``.
        ema: take the exponential moving average where the file has one.
        strict: refuse a file that leaves anything new or dropped.
        new_layer_scale: let the model have layer scale that the file lacks, as the
            light clip models that start from images; it keeps its initial value.

    Returns:
        What was loaded, inflated, dropped and what is new. It is logged as well; of a
        file, also what it is, and a warning where its name tells another ``head_dim``
        than the model's, which no shape shows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no checkpoint, is of another arch, has or lacks layer
            scale, holds NaN, or a 3D one is given to a 2D model. The message names a
            key. The model is unchanged then.

    Source:
        Official loaders of the five tasks; the video one inflates with ``'average'``.
    """
    check_mode(inflate)
    file = None if isinstance(checkpoint, Mapping) else fspath(checkpoint)
    name, identity = file or 'checkpoint', None
    prefix = find_backbone(model)
    if not isinstance(checkpoint, Mapping):
        checkpoint = read_checkpoint(checkpoint)
    try:
        raw = unwrap(checkpoint, ema)
        check_plain(raw, file)
        weights = to_official(raw)
        state, report = _match(weights, model, prefix, inflate, new_layer_scale)
        check_finite({k: weights[k] for k in (*report.loaded, *report.inflated)})
        if strict and (report.dropped or report.new):
            raise ValueError(
                f'does not fit exactly, and strict was asked for: {report}'
            )
        if file is not None:
            identity = identify(raw, name, checkpoint.get('meta'))
    except ValueError as error:
        raise ValueError(f'{name}: {error}') from None
    model.load_state_dict(state, strict=False)
    if identity is not None:
        print_log(f'{name}: {identity}', logger='current')
        _warn_of_head_dim(name, identity, model, prefix)
    print_log(f'{name}: {report}', logger='current')
    return report


def find_backbone(model: nn.Module) -> str:
    """Prefix of a model's UniFormer in its state dict.

    Raises:
        ValueError: it has none.
    """
    for path, module in model.named_modules():
        if isinstance(module, UniFormer):
            return f'{path}.' if path else ''
    # A class of another library with the same parameters, as MMAction2's own.
    if any(
        is_backbone_key(key.removeprefix('backbone.')) for key in model.state_dict()
    ):
        return 'backbone.'
    raise ValueError(f'{type(model).__name__} has no UniFormer backbone')


def _match(
    weights: Mapping[str, Tensor],
    model: nn.Module,
    prefix: str,
    inflate: str,
    new_layer_scale: bool,
) -> tuple[dict[str, Tensor], LoadReport]:
    """Find a place for every tensor, or a reason why it has none."""
    target = model.state_dict()
    taken: dict[str, Tensor] = {}
    report = LoadReport()
    misfits: list[tuple[str, str]] = []
    for key, tensor in weights.items():
        place = _place(key, prefix, target)
        shape = None if place is None else target[place].shape
        if place is not None and tensor.shape == shape:
            taken[place] = tensor
            report.loaded.append(key)
        elif place is not None and fits_inflated(tensor.shape, target[place].shape):
            # In the model's precision: a share of a half-precision kernel would round.
            kernel = tensor.to(target[place])
            taken[place] = inflate_kernel(kernel, target[place].shape[2], inflate)
            report.inflated.append(key)
        elif is_required(key):
            what = f'is {tuple(tensor.shape)}, not {tuple(shape)}' if shape else None
            misfits.append((key, what or 'is not in the model'))
        else:  # another task's head or norm, or another number of classes
            report.dropped.append(key)
            if place is not None and tensor.dim() and shape:
                module = place.rpartition('.')[0]
                report.resized.setdefault(module, (tensor.shape[0], shape[0]))
    for place in (name for name in target if name not in taken):
        key = place.removeprefix(prefix)
        allowed = new_layer_scale and '.gamma_' in key
        if place.startswith(prefix) and is_required(key) and not allowed:
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
    else:  # OpenMMLab's classifiers own what stands beside the official head
        candidates = [owner + key for owner in OWNERS]
        # MMPose 0.x called its head keypoint_head.
        candidates.append(key.replace('keypoint_head.', 'head.'))
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


def _warn_of_head_dim(
    name: str, identity: Identity, model: nn.Module, prefix: str
) -> None:
    """Say where the file's name or its metadata contradict the model."""
    attention = model.get_submodule(f'{prefix}blocks3')[0].attn  # type: ignore[index]
    if identity.head_dim is None or not identity.is_told or not attention.num_heads:
        return
    ours = attention.proj.in_features // attention.num_heads
    if ours != identity.head_dim:
        print_log(
            f'{name}: head_dim is {identity.head_dim} ({identity.told_by}), but '
            f'{ours} in the model. The shapes are the same, the results are not: set '
            f'head_dim={identity.head_dim} unless you know better',
            logger='current',
            level=logging.WARNING,
        )
