"""Reading checkpoints without running anything that is stored in them.

PyTorch's restricted unpickler (``weights_only=True``) refuses what mmengine adds to the
tensors; ``stored_types`` teaches it those few types. What is read is also freed of the
texts that mmengine would execute later, on resume or when building an inferencer.
"""

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import Any

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from .archive import check_archive, describe_head
from .stored_types import STORED_TYPES

MapLocation = str | torch.device | dict[str, str] | Callable[..., Any] | None

# The unpickler's words for a file that is whole but wants more than data.
REFUSALS = (
    r'GLOBAL (\S+)',
    r'\b(refused .+)',
    r'Trying to call reduce for unrecognized function (.+)',
    r'Can only (?:build|create) .+ but got (.+)',
)


def read_checkpoint(
    path: str | os.PathLike[str], map_location: MapLocation = 'cpu'
) -> dict[str, Any]:
    """Read a ``.safetensors`` file, or one of ``torch.save``, as data only.

    Args:
        path: file to read; ``~`` is expanded.
        map_location: where tensors go, as in ``torch.load``. A ``.safetensors`` file
            stores no devices: only a device counts, anything else means the CPU.

    Returns:
        The stored dictionary, less the config texts (see ``drop_executable_text``). A
        ``.safetensors`` file gives ``{'state_dict': tensors, 'meta': metadata}``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a checkpoint, or wants more than data.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        what = 'is a folder, not a file' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'checkpoint {path} {what}: check the path')
    if path.suffix == '.safetensors':
        return _read_safetensors(path, map_location)
    check_archive(path)
    _allow_stored_types()
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except Exception as error:  # a damaged file can fail in any way
        if 'CUDA device' in str(error):  # map_location's fault, and PyTorch says so
            raise
        raise ValueError(_explain(path, error)) from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(f'{path} holds a {kind}, not the dictionary of a checkpoint')
    return drop_executable_text(content)


def drop_executable_text(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Remove the config texts from a checkpoint, in place, and return it.

    mmengine configs are Python programs. ``Runner.resume`` runs ``meta['config']``
    through ``Config.fromstring``; an inferencer built without a config does the same
    with ``message_hub['runtime_info']['cfg']`` or ``meta['cfg']``. So a file that was
    read as data only could still run code. Nothing is lost for training: the Runner
    writes the texts anew from its own config.
    """
    meta = checkpoint.get('meta')
    if isinstance(meta, dict):
        meta.pop('config', None)
        meta.pop('cfg', None)
    hub = checkpoint.get('message_hub')
    runtime = hub.get('runtime_info') if isinstance(hub, dict) else None
    if isinstance(runtime, dict):
        runtime.pop('cfg', None)
    return checkpoint


def install_checkpoint_loader() -> None:
    """Make PyTorch and mmengine read checkpoints by the rules of this file.

    mmengine's loader of local files is replaced through its own registry. Its remote
    loaders stay and are wrapped: they end in ``torch.hub``, which unpickles without
    any restriction unless told otherwise.
    """
    _allow_stored_types()
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_local, force=True)
    # There is no public list of the schemes.
    for prefix, loader in list(CheckpointLoader._schemes.items()):
        ours = loader is load_from_local or hasattr(loader, '__wrapped__')
        if not ours and loader.__module__ == 'mmengine.runner.checkpoint':
            CheckpointLoader.register_scheme(prefix, _as_data_only(loader), force=True)


def load_from_local(filename: str, map_location: MapLocation = None) -> dict[str, Any]:
    """``read_checkpoint`` for mmengine, which wants a name with this beginning."""
    return read_checkpoint(filename, map_location)


def _allow_stored_types() -> None:
    """Before every reading: ``safe_globals`` of others removes on exit what was here.

    timm's loader takes ``Namespace`` away like that.
    """
    torch.serialization.add_safe_globals(list(STORED_TYPES))


def _as_data_only(loader: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one of mmengine's remote loaders, keeping its name ``load_from_...``."""

    @functools.wraps(loader)
    def load(filename: str, map_location: MapLocation = None, **kwargs: Any) -> Any:
        _allow_stored_types()
        try:
            with _forced_weights_only():
                content = loader(filename, map_location=map_location, **kwargs)
        except UnpicklingError as error:
            raise ValueError(_explain(filename, error)) from error
        return drop_executable_text(content) if isinstance(content, dict) else content

    return load


@contextlib.contextmanager
def _forced_weights_only() -> Iterator[None]:
    """Restrict every ``torch.load`` inside, also those that ask not to be.

    The environment is PyTorch's only switch for a call inside another library.
    """
    names = ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ[names[0]] = '1'
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _read_safetensors(path: Path, map_location: MapLocation) -> dict[str, Any]:
    # Imported here: only who has such a file needs the package.
    from safetensors import SafetensorError, safe_open

    is_device = isinstance(map_location, (str, torch.device))
    device = str(map_location) if is_device else 'cpu'
    try:
        with safe_open(path, framework='pt', device=device) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise ValueError(_explain(path, error)) from error
    return {'state_dict': tensors, 'meta': metadata}


def _explain(path: str | Path, error: Exception) -> str:
    """One line on why a file was not read, and what to do."""
    text = str(error)
    for pattern in REFUSALS:
        wanted = re.search(pattern, text)
        if wanted:
            return (
                f'{path} is refused, it wants {wanted[1]} where data was expected: '
                'if you trust its source, read it once in a sandbox with '
                'torch.load(..., weights_only=False) and save only its tensors'
            )
    # torch.load wraps the unpickler's own line into a page of general advice.
    inner = re.search(r'WeightsUnpickler error:\s*(.+)', text)
    line = inner[1] if inner else (text.strip().splitlines() or [repr(error)])[0]
    line = shorten(line[:1000], 200)  # a hostile header is quoted in full
    look = describe_head(path)
    return f'{path} is not a readable checkpoint, it looks like {look}: {line}'
