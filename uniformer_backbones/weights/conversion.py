"""A checkpoint of any code base into a file of another: names, container, format."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

import uniformer_backbones
from uniformer_backbones.compat.checkpoint import read_checkpoint
from uniformer_backbones.models.arch import ARCHS, find_arch
from uniformer_backbones.weights.checks import check_finite, check_plain
from uniformer_backbones.weights.identity import Identity, find_misfit, identify
from uniformer_backbones.weights.keys import to_official, unwrap
from uniformer_backbones.weights.layouts import LAYOUTS, container_of, rename_all
from uniformer_backbones.weights.report import list_modules
from uniformer_backbones.weights.writing import check_target, write_weights


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert_file` read and wrote.

    Attributes:
        identity: what the source is.
        layout: of the target.
        written: tensors in the target.
        renamed: how many of them have another name than in the source.
        dropped: official names without a place in the layout.
    """

    identity: Identity
    layout: str
    written: int
    renamed: int
    dropped: list[str]


def convert_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    layout: str = 'mmengine',
    arch: str | None = None,
    head_dim: int | None = None,
    ema: bool = False,
    strict: bool = False,
) -> Conversion:
    """Read a checkpoint of any kind, check it, write it in another layout or format.

    Args:
        source: file that :func:`~uniformer_backbones.load_official` reads.
        target: file to write, ``.safetensors`` or ``.pth``; replaced in one step. What
            the source is goes into its metadata.
        layout: as in :func:`~uniformer_backbones.weights.layouts.rename`.
        arch: what the source has to be; otherwise its shapes say it.
        head_dim: of the source, where nothing in it or in its name tells.
        ema: take the exponential moving average where the source has one.
        strict: refuse an arch that is not in the table, and to drop anything.

    Returns:
        What was read and written.

    Raises:
        FileNotFoundError: there is no such source, or no folder for the target.
        ValueError: the source is no UniFormer checkpoint, is of another arch, or does
            not tell its ``head_dim``. Nothing is written then.
    """
    if layout not in LAYOUTS:
        raise ValueError(f'layout must be one of {", ".join(LAYOUTS)}; got {layout!r}')
    source, target = Path(source).expanduser(), Path(target).expanduser()
    check_target(target, source)
    content = read_checkpoint(source)
    try:
        raw = unwrap(content, ema)
        check_plain(raw, source)
        weights = to_official(raw)
        identity = identify(raw, source.name, content.get('meta'), head_dim)
        identity = _settle(identity, weights, arch, strict)
        check_finite(weights)
        renamed, dropped = rename_all(weights, layout, identity.task, identity.ndim)
        if strict and dropped:
            raise ValueError(
                f'{list_modules(dropped)} have no place in the layout {layout}, and '
                'strict was asked for'
            )
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None
    container = container_of(layout, identity.task)
    write_weights(target, renamed, _provenance(source, identity), container)
    return Conversion(
        identity=identity,
        layout=layout,
        written=len(renamed),
        renamed=len(renamed.keys() - raw.keys()),
        dropped=dropped,
    )


def _settle(
    identity: Identity, weights: Mapping[str, Tensor], arch: str | None, strict: bool
) -> Identity:
    """Return the identity with one arch and one head_dim.

    Raises:
        ValueError: the file is of another arch, or does not say.
    """
    if arch is not None:
        identity = _narrow(identity, weights, arch)
    misfit = find_misfit(weights, identity)
    if misfit is not None:
        raise ValueError(misfit)
    if strict and identity.arch is None:
        raise ValueError(
            'its depths and widths are of no arch of the table, and strict was asked'
        )
    values = ' or '.join(map(str, identity.head_dims)) or 'its value'
    if identity.head_dim is None:
        raise ValueError(
            'its shapes do not tell head_dim, nor does its name; add '
            f'--head-dim {values} (token labeling S, S+, B: 32, or 64 with dim64 in '
            'the name; S+: 32; other S, B: 64)'
        )
    width = weights['blocks3.0.pos_embed.bias'].numel()
    if identity.head_dim > width:
        raise ValueError(
            f'head_dim {identity.head_dim} is more than the {width} channels of '
            f'stage 3; published is {values}'
        )
    return identity


def _narrow(identity: Identity, weights: Mapping[str, Tensor], arch: str) -> Identity:
    """Hold a file to the arch that the user names."""
    find_arch(arch)
    named = replace(identity, archs=(arch,))
    if arch not in identity.archs:
        seems = ' or '.join(identity.archs) or 'of no arch of the table'
        why = find_misfit(weights, named) or 'their layer scales differ'
        raise ValueError(f'is not {arch}: {why} (it seems to be {seems})')
    # Token labeling has the other value under the same names.
    if identity.head_dim or identity.task == 'token labeling':
        return named
    return replace(named, head_dim=ARCHS[arch].head_dim, told_by='of the arch given')


def _provenance(source: Path, identity: Identity) -> dict[str, str]:
    facts: dict[str, Any] = {
        'source': source.name,
        'task': identity.task,
        'arch': identity.arch or identity.model['arch'],
        'head_dim': identity.head_dim,
        'ndim': identity.ndim,
        'uniformer_backbones': uniformer_backbones.__version__,
    }
    return {key: str(value) for key, value in facts.items()}
