"""The folder that a video data set was downloaded to: annotations, videos, frames."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from projects.common.errors import UserError
from projects.video.files import find_videos, read_lines
from projects.video.labels import class_names, label_map, normalized

FRAME_FOLDERS = ('frames', 'rawframes')
MANY = 1000  # subfolders: more are clips, fewer are classes that hold clips


class Download:
    """What a folder holds, for the readers of :mod:`projects.video.annotations`.

    Args:
        root: the folder; annotations as downloaded are in ``root/annotations``.
        classes: list of :mod:`projects.video.labels`.
        labels_in: list that numeric labels of the annotations are in, where that is
            not ``classes``.
        as_frames: look for folders of frames, not for videos.
    """

    def __init__(
        self, root: Path, classes: str, labels_in: str = '', as_frames: bool = False
    ) -> None:
        self.root, self.classes, self.as_frames = root, classes, as_frames
        self._numbers = label_map(labels_in or classes, classes)

    def annotations(self, pattern: str) -> list[Path]:
        """Annotation files whose path below ``annotations/`` matches an expression."""
        base = self.root / 'annotations'
        return [
            path
            for path in sorted(base.rglob('*'))
            if path.is_file()
            and re.search(pattern, path.relative_to(base).as_posix(), re.IGNORECASE)
        ]

    def label(self, name: str, where: Path) -> int:
        """Index of a class name.

        Raises:
            UserError: there is no such class.
        """
        label = self._labels.get(normalized(name))
        if label is None:
            raise UserError(f'{where}: {name!r} is no class of {self.classes}')
        return label

    def number(self, text: str, where: Path) -> int:
        """A numeric label, mapped to the order of ``classes``.

        Raises:
            UserError: it is no label.
        """
        if not text.strip().isdigit() or int(text) >= len(self._numbers):
            last = len(self._numbers) - 1
            raise UserError(f'{where}: {text.strip()!r} is no label, 0 to {last}')
        return self._numbers[int(text)]

    def locate(self, name: str) -> str:
        """Path of a video or a frame folder below the root; ``name`` if there is none.

        A video may be in any subfolder, a folder of frames in ``frames/``, possibly
        below a folder of its class.
        """
        if (self.root / name).exists():
            return name
        if not self.as_frames:
            return self._videos.get(Path(name).stem, name)
        found = (base / name for base in self._frame_bases)
        return next((self._short(path) for path in found if path.is_dir()), name)

    def videos(self, folder: str) -> list[str]:
        """Videos in a subfolder, relative to the root."""
        return [self._short(path) for path in find_videos(self.root / folder)]

    @cached_property
    def _labels(self) -> dict[str, int]:
        names = class_names(self.classes)
        return {normalized(name): label for label, name in enumerate(names)}

    @cached_property
    def _videos(self) -> dict[str, str]:
        return {path.stem: self._short(path) for path in find_videos(self.root)}

    @cached_property
    def _frame_bases(self) -> list[Path]:
        """Folders that folders of frames are looked for in."""
        bases = [self.root / name for name in FRAME_FOLDERS]
        bases += sorted(self.root.glob('20bn-something-something-v?'))
        bases = [base for base in bases if base.is_dir()]
        for base in list(bases):
            children = sorted(path for path in base.iterdir() if path.is_dir())
            bases += children if len(children) < MANY else []
        return bases

    def _short(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def read_rows(path: Path, fields: int, delimiter: str | None) -> Iterator[list[str]]:
    """Parts of each line of a list, split from the right; blank lines are left out.

    Raises:
        UserError: a line has fewer parts.
    """
    for number, line in read_lines(path):
        parts = line.rsplit(delimiter, fields - 1)
        if len(parts) < fields:
            raise UserError(f'{path}:{number}: {fields} parts expected in {line!r}')
        yield parts
