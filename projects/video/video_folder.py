"""A user's own videos: class-named folders, or lists in the Kinetics form."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from projects.common.errors import UserError
from projects.common.world.cache import cache_home
from projects.video.files import find_videos, is_video, write_lists
from projects.video.labels import class_names

LAYOUT = """  {root}/CLASS/*.mp4                     (split 80/20 by file name), or
  {root}/train/CLASS/*.mp4 and {root}/val/CLASS/*.mp4, or
  {root}/train.csv and {root}/val.csv    (lines name.mp4,label), with the names of the
                                         classes in {root}/classes.txt, one a line"""
VAL_NAMES = ('val', 'validate', 'validation', 'test')
VAL_SHARE = 0.2


@dataclass(frozen=True)
class VideoLists:
    """What a folder of videos became.

    Attributes:
        root: folder that the names in the lists are relative to.
        train: list of the training videos, ``name,label``.
        val: list of the videos to validate on.
        classes: class names in the order of their labels.
    """

    root: Path
    train: Path
    val: Path
    classes: tuple[str, ...]


def find_lists(root: str | Path, out: Path | None = None) -> VideoLists:
    """Make lists of a folder of videos, or take those it has.

    Labels are the places of the class folders in alphabetical order. Without ``train``
    and ``val`` folders the hash of a video's name decides where it goes, so the split
    is the same on every machine and stays when videos are added; every class of two or
    more videos is in both halves.

    Args:
        root: the folder.
        out: where the lists are written; by default a cache folder, so that the data
            stay untouched.

    Raises:
        UserError: the folder is not laid out as ``LAYOUT`` says.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f'{root}: no such folder; expected\n{LAYOUT.format(root=root)}')
    if (root / 'train.csv').is_file():
        return _ready_lists(root)
    val_folder = next((root / n for n in VAL_NAMES if (root / n).is_dir()), None)
    if (root / 'train').is_dir() and val_folder is not None:
        classes = _classes(root / 'train')
        extra = sorted(set(_classes(val_folder)) - set(classes))
        if extra:
            raise UserError(f'{val_folder / extra[0]}: no such class in {root}/train')
        train = _videos(root, root / 'train', classes)
        val = _videos(root, val_folder, classes)
    else:
        classes = _classes(root)
        train, val = _split(_videos(root, root, classes))
    _check(root, classes, train, val)
    out = out or _cache_folder(root)
    write_lists(
        {
            out / 'train.csv': [f'{name},{label}' for name, label in train],
            out / 'val.csv': [f'{name},{label}' for name, label in val],
            out / 'classes.txt': classes,
        }
    )
    return VideoLists(root, out / 'train.csv', out / 'val.csv', classes)


def _ready_lists(root: Path) -> VideoLists:
    """Lists that the folder brings along."""
    names = [name for name in VAL_NAMES if (root / f'{name}.csv').is_file()]
    if not names:
        raise UserError(f'{root}: has train.csv but no val.csv')
    labels = root / 'classes.txt'
    if not labels.is_file():
        raise UserError(f'{labels}: missing; the names of the classes, one a line')
    train, val = root / 'train.csv', root / f'{names[0]}.csv'
    return VideoLists(root, train, val, class_names(str(labels)))


def _classes(folder: Path) -> tuple[str, ...]:
    """Names of the subfolders that hold videos."""
    parts = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith('.')]
    return tuple(sorted(part.name for part in parts if find_videos(part)))


def _videos(root: Path, folder: Path, classes: Sequence[str]) -> list[tuple[str, int]]:
    """Names relative to the root, with the label of their class folder."""
    return [
        (path.relative_to(root).as_posix(), label)
        for label, name in enumerate(classes)
        if (folder / name).is_dir()
        for path in find_videos(folder / name)
    ]


def _split(
    videos: list[tuple[str, int]],
) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Divide by the hash of the name, class by class."""
    by_class: dict[int, list[str]] = {}
    for name, label in videos:
        by_class.setdefault(label, []).append(name)
    train, val = [], []
    for label, names in by_class.items():
        names.sort(key=_hash)
        held = [name for name in names if _hash(name) < VAL_SHARE] or names[:1]
        held = held[: len(names) - 1]
        val += [(name, label) for name in sorted(held)]
        train += [(name, label) for name in sorted(set(names) - set(held))]
    return train, val


def _hash(name: str) -> float:
    """A number from 0 to 1 that depends on the name alone."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 16**8


def _check(
    root: Path,
    classes: Sequence[str],
    train: Sequence[tuple[str, int]],
    val: Sequence[tuple[str, int]],
) -> None:
    layout = f'expected\n{LAYOUT.format(root=root)}'
    if not classes:
        loose = any(is_video(path) for path in root.iterdir())
        what = 'videos, but not in class folders' if loose else 'no videos'
        raise UserError(f'{root}: {what}; {layout}')
    if len(classes) < 2:
        raise UserError(f'{root}: one class, {classes[0]!r}; two are needed; {layout}')
    if not train or not val:
        empty = 'train' if not train else 'val'
        raise UserError(f'{root}: no {empty} videos; {layout}')


def _cache_folder(root: Path) -> Path:
    whole = root.resolve()
    mark = hashlib.sha256(str(whole).encode()).hexdigest()[:12]
    return cache_home().parent / 'lists' / f'{whole.name}-{mark}'
