"""All weights of a model from a file: of our own training, or published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from projects.common.errors import UserError
from uniformer_backbones import load_official

ANOTHER = 'is of another model than this config'


def find_misfit(model: nn.Module, checkpoint: Mapping[str, Any]) -> str | None:
    """Say how the tensors of a checkpoint differ from a model's; ``None`` if not."""
    own, stored = _shapes(model.state_dict()), _shapes(_weights(checkpoint))
    wrong = {
        'missing': own.keys() - stored.keys(),
        'left over': stored.keys() - own.keys(),
        'of another shape': {k for k in own.keys() & stored if own[k] != stored[k]},
    }
    count = sum(map(len, wrong.values()))
    for what, keys in wrong.items():
        if keys:
            first = sorted(keys)[0]
            total = len(own.keys() | stored.keys())
            return f'{first} is {what}, {count} of {total} tensors do not fit'
    return None


def load_published(
    model: nn.Module, checkpoint: Mapping[str, Any], path: str | Path
) -> bool:
    """Load a file with other names than the model's, which has to fill all of it.

    Args:
        model: of a config.
        checkpoint: content of the file.
        path: of the file.

    Returns:
        Whether it was loaded; a file with the model's own names is left to the caller.

    Raises:
        UserError: it is of another model.
    """
    misfit = find_misfit(model, checkpoint)
    if misfit is None:
        return False
    try:
        load_whole(model, path)
    except UserError as error:
        ours = model.state_dict().keys() & _shapes(_weights(checkpoint)).keys()
        if ours:
            raise UserError(f'{path}: {ANOTHER}: {misfit}') from error
        raise
    return True


def load_whole(model: nn.Module, path: str | Path) -> None:
    """Load a file of any known names into all of a model.

    Args:
        model: of a config.
        path: of a checkpoint, ours or published.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is no checkpoint, or of another model.
    """
    try:
        report = load_official(model, path)
    except ValueError as error:
        reason = str(error).removeprefix(f'{path}: ')
        raise UserError(f'{path}: {ANOTHER}: {reason}') from error
    if report.inflated:
        raise UserError(f'{path}: {ANOTHER}: it is of images, the config of clips')
    if report.new:
        new = ', '.join(report.new[:2])
        raise UserError(f'{path}: {ANOTHER}: it has no {new}; classes or heads differ')


def _weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    return checkpoint.get('state_dict', checkpoint)


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        key.removeprefix('module.'): tuple(value.shape)
        for key, value in state.items()
        if hasattr(value, 'shape') and not key.endswith('num_batches_tracked')
    }
