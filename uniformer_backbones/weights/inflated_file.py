"""A file of image weights turned into one of clip weights, with its provenance."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

import uniformer_backbones
from uniformer_backbones.compat.checkpoint import read_checkpoint
from uniformer_backbones.models.uniformer import UniFormer
from uniformer_backbones.weights.inflation import check_mode
from uniformer_backbones.weights.keys import is_backbone_key, to_official, unwrap
from uniformer_backbones.weights.official import LoadReport, load_official
from uniformer_backbones.weights.writing import check_target, write_weights


def inflate_file(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    arch: str | Mapping[str, Any],
    mode: str = 'average',
    ema: bool = False,
    **arguments: Any,
) -> LoadReport:
    """Read an image checkpoint, write the weights of the model of clips.

    The result holds the backbone alone, in float32, under the official names. It loads
    as any published file: by :func:`load_official`, or by ``init_cfg`` of a config.

    Args:
        source: file that :func:`load_official` reads, of an image model of any task.
        target: file to write, ``.safetensors`` or ``.pth``; replaced if it is there,
            in one step: it is whole at any time.
        arch: of the model, as :class:`~uniformer_backbones.UniFormer` takes it.
        mode: ``'average'`` (official) or ``'center'``.
        ema: take the exponential moving average where the source has one.
        **arguments: of the 3D model: those that change its weights, such as
            ``temporal_overlap`` or ``layer_scale``.

    Returns:
        What was copied, inflated, dropped, and what of the model the file lacks.

    Raises:
        FileNotFoundError: there is no such source, or no folder for the target.
        ValueError: an argument is not as described, the source is no checkpoint, is 3D
            already or of another arch; then the message names a key. Nothing is
            written.
    """
    check_mode(mode)
    source, target = Path(source).expanduser(), Path(target).expanduser()
    check_target(target, source)
    model = UniFormer(arch, 3, **arguments)
    refuse_clips(source, to_official(unwrap_file(source, ema)))
    report = load_official(model, source, inflate=mode, ema=ema)
    taken = {*report.loaded, *report.inflated}
    weights = {key: t for key, t in model.state_dict().items() if key in taken}
    provenance = {
        'source': source.name,
        'source_sha256': hash_file(source),
        'inflate': mode,
        'arch': str(arch),
        **{key: str(value) for key, value in arguments.items()},
        'uniformer_backbones': uniformer_backbones.__version__,
    }
    write_weights(target, weights, provenance)
    return report


def unwrap_file(source: Path, ema: bool) -> dict[str, Tensor]:
    """Weights of a file; errors name it."""
    content = read_checkpoint(source)
    try:
        return unwrap(content, ema)
    except ValueError as error:
        raise ValueError(f'{source}: {error}') from None


def refuse_clips(source: Path, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that have a time axis.

    Raises:
        ValueError: with the key of the first.
    """
    for key, tensor in weights.items():
        if is_backbone_key(key) and tensor.dim() == 5:
            raise ValueError(
                f'{source}: {key}: is 3D already {tuple(tensor.shape)}; '
                'inflation takes an image checkpoint'
            )


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open('rb') as file:
        # hashlib.file_digest is of Python 3.11.
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
