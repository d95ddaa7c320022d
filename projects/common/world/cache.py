"""The cache of generated worlds, outside the repository.

A world is written beside its final place and renamed when complete: whatever bears the
final name is whole, and two processes may generate the same world at once.
"""

import hashlib
import inspect
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Console
from rich.progress import track

from .ade20k import write_ade20k
from .clips import write_kinetics
from .coco import write_coco
from .imagenet import write_imagenet
from .people import write_people
from .scene import WORLD_VERSION
from .splits import Track

# One entry per layout. A writer takes the folder to fill, then parameters that json
# can say, each with a default, and the keyword ``track``.
WRITERS: Mapping[str, Callable[..., Path]] = MappingProxyType(
    {
        'ade20k': write_ade20k,
        'coco': write_coco,
        'imagenet': write_imagenet,
        'kinetics': write_kinetics,
        'people': write_people,
    }
)
MARKER = 'world.json'
STALE_SECONDS = 24 * 3600


class DemoWorldError(OSError):
    """The demo data cannot be written; the message is one line for the user."""


def cache_home() -> Path:
    """Give the folder of all worlds; it need not exist.

    ``$UNIFORMER_DEMO_HOME``, else ``$XDG_CACHE_HOME/uniformer_backbones/demo``, else
    ``~/.cache/uniformer_backbones/demo``.

    Raises:
        DemoWorldError: no home folder is known.
    """
    if home := os.environ.get('UNIFORMER_DEMO_HOME'):
        return Path(home).expanduser().absolute()
    xdg = Path(os.environ.get('XDG_CACHE_HOME', ''))
    try:
        # The XDG specification says to ignore a relative path.
        base = xdg if xdg.is_absolute() else Path.home() / '.cache'
    except RuntimeError as error:
        raise DemoWorldError(
            'no home folder for the demo data; set UNIFORMER_DEMO_HOME'
        ) from error
    return base / 'uniformer_backbones' / 'demo'


def world_params(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the parameters of a world by the defaults of its writer.

    Raises:
        ValueError: the kind or a parameter is unknown.
    """
    if kind not in WRITERS:
        raise ValueError(f'unknown demo data {kind!r}; choose from {tuple(WRITERS)}')
    known = {
        name: value.default
        for name, value in list(inspect.signature(WRITERS[kind]).parameters.items())[1:]
        if name != 'track'
    }
    if unknown := sorted(set(params) - set(known)):
        raise ValueError(
            f'unknown parameters {unknown} of {kind!r} demo data; '
            f'choose from {tuple(known)}'
        )
    return {**known, **params}


def world_path(kind: str, **params: Any) -> Path:
    """Give the folder of a world, written or not.

    Raises:
        ValueError: the kind or a parameter is unknown.
        DemoWorldError: no home folder is known.
    """
    text = json.dumps([WORLD_VERSION, world_params(kind, params)], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return cache_home() / f'{kind}-v{WORLD_VERSION}-{digest}'


def demo_world(kind: str, **params: Any) -> Path:
    """Give the folder of a world, generated on the first call.

    Args:
        kind: layout of the data, a key of ``WRITERS``.
        **params: of the writer, such as ``num_train`` or ``seed``.

    Returns:
        The complete folder.

    Raises:
        ValueError: the kind, a parameter or its value is not allowed.
        DemoWorldError: the folder cannot be written.
    """
    final = world_path(kind, **params)
    if (final / MARKER).is_file():
        return final
    params = world_params(kind, params)
    draft = final.with_name(f'.{final.name}.{uuid.uuid4().hex}')
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        remove_stale(final)
        WRITERS[kind](draft, **params, track=_tracker(kind))
        content = {'kind': kind, 'version': WORLD_VERSION, 'params': params}
        (draft / MARKER).write_text(json.dumps(content, indent=2) + '\n')
        publish(draft, final)
    except OSError as error:
        reason = error.strerror or error
        raise DemoWorldError(
            f'cannot write demo data to {final}: {reason}; free some space or set '
            'UNIFORMER_DEMO_HOME to a writable folder'
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def publish(draft: Path, final: Path) -> None:
    """Give a complete draft its final name, unless another process was first."""
    try:
        draft.rename(final)
    except OSError:
        if not (final / MARKER).is_file():
            raise


def remove_stale(final: Path) -> None:
    """Remove drafts of this world that a killed process left a day ago or earlier."""
    for draft in final.parent.glob(f'.{final.name}.*'):
        try:
            age = time.time() - draft.stat().st_mtime
        except OSError:  # gone meanwhile: its process has finished
            continue
        if age > STALE_SECONDS:
            shutil.rmtree(draft, ignore_errors=True)


def _tracker(kind: str) -> Track | None:
    """A progress bar per split when someone is watching, else None."""
    if not sys.stderr.isatty():
        return None
    console = Console(stderr=True)
    return lambda indices, split: track(
        indices, f'demo data: {kind} {split}', console=console, transient=True
    )
