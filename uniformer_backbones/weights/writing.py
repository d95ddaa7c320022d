"""Writing weights: whole or not at all, with where they come from."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

SUFFIXES = ('.safetensors', '.pth')


def check_target(target: Path, source: Path | None = None) -> None:
    """Refuse a file that cannot be written, before any work is done.

    Args:
        target: file to write.
        source: file that is read for it, and must not be replaced.

    Raises:
        FileNotFoundError: its folder does not exist.
        ValueError: its suffix is unknown, it is a folder, or the source itself.
    """
    if target.suffix not in SUFFIXES:
        raise ValueError(
            f'{target}: the suffix says the format; use {" or ".join(SUFFIXES)}'
        )
    if target.is_dir():
        raise ValueError(f'{target}: is a folder, not a file')
    if not target.parent.is_dir():
        raise FileNotFoundError(f'{target}: there is no folder {target.parent}')
    both = source is not None and source.exists() and target.exists()
    if both and target.samefile(source):  # type: ignore[arg-type]
        raise ValueError(f'{target}: is the source itself; choose another name')


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a path to write to; what is there at the end becomes the target.

    Beside the final name, then renamed, which cannot be interrupted.

    Raises:
        OSError: it cannot be written.
    """
    partial = target.with_name(f'.{target.name}.{os.getpid()}.partial')
    try:
        yield partial
        os.replace(partial, target)
    # What torch and safetensors make of an OSError, in several lines.
    except (RuntimeError, SafetensorError) as error:
        reason = str(error).partition('\n')[0]
        raise OSError(f'{target}: cannot be written: {reason}') from error
    finally:
        partial.unlink(missing_ok=True)


def write_weights(
    target: Path,
    weights: Mapping[str, Tensor],
    provenance: Mapping[str, str],
    container: str = 'state_dict',
) -> None:
    """Write tensors and where they come from, whole or not at all.

    Args:
        target: ``.safetensors``, where the provenance becomes the metadata, or
            ``.pth``, where it is ``meta`` beside the container.
        weights: key to tensor.
        provenance: words about them.
        container: entry of a ``.pth`` file that holds the tensors.

    Raises:
        OSError: it cannot be written.
    """
    with whole_file(target) as partial:
        if target.suffix == '.safetensors':
            # Copies: views that share their memory are refused.
            whole = {key: t.contiguous().clone() for key, t in weights.items()}
            save_file(whole, partial, {'format': 'pt', **provenance})
        else:
            # A view would take all of its storage into the file.
            whole = {key: t.detach().clone() for key, t in weights.items()}
            torch.save({container: whole, 'meta': dict(provenance)}, partial)
