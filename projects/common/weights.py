"""All weights of a model from a file: of our own training, or published."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from projects.common.errors import UserError
from uniformer_backbones import load_official


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
            return f'{first} is {what}, {count} of {len(own)} tensors do not fit'
    return None


def load_published(
    model: nn.Module, checkpoint: Mapping[str, Any], path: str | Path
) -> None:
    """Load a file with other names than the model's, which has to fill all of it.

    Args:
        model: of a config.
        checkpoint: content of the file.
        path: of the file.

    Raises:
        UserError: it is of another model.
    """
    refused = f'{path}: is of another model than this config'
    misfit = find_misfit(model, checkpoint)
    try:
        report = load_official(model, path)
    except ValueError as error:
        ours = model.state_dict().keys() & _shapes(_weights(checkpoint)).keys()
        reason = misfit if ours else str(error).removeprefix(f'{path}: ')
        raise UserError(f'{refused}: {reason}') from error
    if report.inflated:
        raise UserError(f'{refused}: it is of images, the config of clips')
    if report.new:
        raise UserError(f'{refused}: it has no {", ".join(report.new[:2])}')


def _weights(checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    return checkpoint.get('state_dict', checkpoint)


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        key.removeprefix('module.'): tuple(value.shape)
        for key, value in state.items()
        if hasattr(value, 'shape') and not key.endswith('num_batches_tracked')
    }
