"""Lists of videos as files: found, read, written whole or not at all."""

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

VIDEOS = frozenset(
    ('.mp4', '.avi', '.mkv', '.webm', '.mov', '.m4v', '.mpg', '.mpeg', '.flv', '.wmv')
)


def is_video(path: Path) -> bool:
    """Whether a name is that of a video file; hidden files are none."""
    return path.suffix.lower() in VIDEOS and not path.name.startswith('.')


def find_videos(folder: Path) -> list[Path]:
    """Video files below a folder, links followed, sorted."""
    found = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders.sort()
        found += [Path(root) / name for name in names if is_video(Path(name))]
    return sorted(found)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, stripped, with their numbers from 1.

    A byte order mark, which editors on Windows write, is no part of the first.
    """
    lines = path.read_text(encoding='utf-8-sig').splitlines()
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, line.strip()


def write_lists(lists: Mapping[Path, Iterable[str]]) -> None:
    """Write text files, lines each, so that all of them are whole or none is there.

    Every file is written beside its place first; they take their places at the end.

    Raises:
        OSError: a folder cannot be written; no list is changed then.
    """
    parts: dict[Path, Path] = {}
    try:
        for path, lines in lists.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f'.{path.name}.{uuid.uuid4().hex}')
            parts[part] = path
            with part.open('w', encoding='utf-8') as file:
                file.writelines(f'{line}\n' for line in lines)
                file.flush()
                os.fsync(file.fileno())
        for part, path in parts.items():
            part.replace(path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
