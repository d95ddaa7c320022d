"""A user's own files in a folder per class: found, split, checked."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from projects.common.errors import UserError
from projects.common.world.cache import cache_home

VAL_NAMES = ('val', 'validate', 'validation', 'valid', 'test')
VAL_SHARE = 0.2

Labelled = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class ClassFolders:
    """What a folder of class folders holds.

    Attributes:
        root: what the names are relative to.
        classes: class names in the order of their labels: alphabetical.
        train: names of the training files with their labels.
        val: names of the held-out files with their labels.
    """

    root: Path
    classes: tuple[str, ...]
    train: Labelled
    val: Labelled


def find_files(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Files with these suffixes below a folder, links followed, sorted, none hidden."""
    found = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        found += [
            Path(root) / name
            for name in names
            if not name.startswith('.') and Path(name).suffix.lower() in suffixes
        ]
    return sorted(found)


def find_class_folders(
    root: str | Path, find: Callable[[Path], list[Path]], kind: str, layout: str
) -> ClassFolders:
    """Read ``train/CLASS/*`` and ``val/CLASS/*``, or split ``CLASS/*``.

    Without both folders the hash of a file's name decides where it goes, so the split
    is the same on every machine and stays when files are added; every class of two or
    more files is in both halves.

    Args:
        root: the folder.
        find: gives the files of a folder and below.
        kind: what the files are, for messages: ``'images'``.
        layout: the layouts allowed, with ``{root}``, for messages.

    Raises:
        UserError: the folder is not laid out like this.
    """
    root = Path(root)
    expected = f'expected\n{layout.format(root=root)}'
    if not root.is_dir():
        raise UserError(f'{root}: no such folder; {expected}')
    val_folder = next((root / n for n in VAL_NAMES if (root / n).is_dir()), None)
    if (root / 'train').is_dir() and val_folder is not None:
        found = _read(root, root / 'train', find)
        held = _read(root, val_folder, find)
        classes = tuple(sorted(found))
        extra = sorted(set(held) - set(found))
        if extra:
            raise UserError(f'{val_folder / extra[0]}: no such class in {root}/train')
        parts = [_label(part, classes) for part in (found, held)]
    else:
        found = _read(root, root, find)
        classes = tuple(sorted(found))
        splits = [name for name in classes if name.lower() in ('train', *VAL_NAMES)]
        if splits:
            raise UserError(f'{root / splits[0]}: a split, not a class; {expected}')
        halves = {name: split_files(found[name]) for name in classes}
        parts = [
            _label({name: half[i] for name, half in halves.items()}, classes)
            for i in (0, 1)
        ]
    if not classes:
        what = f'{kind}, but not in class folders' if find(root) else f'no {kind}'
        raise UserError(f'{root}: {what}; {expected}')
    if len(classes) < 2:
        raise UserError(
            f'{root}: one class, {classes[0]!r}; two are needed; {expected}'
        )
    if not parts[1]:
        raise UserError(f'{root}: no {kind} to validate on; {expected}')
    return ClassFolders(root, classes, *parts)


def split_files(
    names: Sequence[str], share: float = VAL_SHARE
) -> tuple[list[str], list[str]]:
    """Divide the files of a class by the hash of their names: (train, held out)."""
    ordered = sorted(names, key=hash_share)
    held = [name for name in ordered if hash_share(name) < share] or ordered[:1]
    held = held[: len(ordered) - 1]
    return sorted(set(ordered) - set(held)), sorted(held)


def hash_share(name: str) -> float:
    """Give a number from 0 to 1 that depends on the name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8


def list_folder(root: Path) -> Path:
    """Give the cache folder for lists of a folder: the data stay untouched."""
    whole = root.resolve()
    mark = hashlib.sha256(str(whole).encode()).hexdigest()[:12]
    return cache_home().parent / 'lists' / f'{whole.name}-{mark}'


def _read(
    root: Path, folder: Path, find: Callable[[Path], list[Path]]
) -> dict[str, list[str]]:
    """Names relative to the root of the files of every class folder that has any."""
    found = {}
    for part in folder.iterdir():
        if part.is_dir() and not part.name.startswith('.'):
            files = [path.relative_to(root).as_posix() for path in find(part)]
            if files:
                found[part.name] = files
    return found


def _label(part: dict[str, list[str]], classes: Sequence[str]) -> Labelled:
    return tuple(
        (name, label)
        for label, title in enumerate(classes)
        for name in part.get(title, [])
    )
