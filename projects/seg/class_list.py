"""``classes.txt``: the names of the classes and, for coloured masks, their colours."""

import re
from dataclasses import dataclass
from pathlib import Path

from projects.common.errors import UserError

NOTHING = '-'  # a label or colour that is no class: ignored
MAX_CLASSES = 254  # masks are 8-bit, 255 is ignored, and 0 may be
LINE = re.compile(r'(.*?)[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})')

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassList:
    """The classes of a folder of masks.

    Attributes:
        names: in the order of their labels.
        first_is_nothing: label 0 is no class, and the classes count from 1.
        colors: RGB of each class; empty where masks hold labels.
        ignored: RGB of what is no class.
    """

    names: tuple[str, ...]
    first_is_nothing: bool = False
    colors: tuple[Color, ...] = ()
    ignored: tuple[Color, ...] = ()


def read_class_list(path: Path) -> ClassList:
    """Read and check a class list.

    A line is a name, or a name and its colour as ``name R G B``; the name ``-`` stands
    for no class. Without colours the first line is label 0, the second label 1.

    Raises:
        UserError: it cannot be read, or is not as described.
    """
    try:
        lines = path.read_text('utf-8-sig').rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path}: cannot be read as text: {error}') from None
    entries = [_parse(path, number, line) for number, line in enumerate(lines, 1)]
    colored = [color for _, color in entries if color is not None]
    if colored and len(colored) < len(entries):
        bare = next(name for name, color in entries if color is None)
        raise UserError(
            f'{path}: {bare!r} has no colour but other classes have; give all or none'
        )
    names = tuple(name for name, _ in entries if name != NOTHING)
    for values in (names, colored):
        double = next((value for value in values if values.count(value) > 1), None)
        if double is not None:
            raise UserError(f'{path}: {double} is listed twice')
    if not colored and NOTHING in [name for name, _ in entries[1:]]:
        raise UserError(
            f'{path}: only the first line, label 0, can be {NOTHING!r} (no class); '
            'use 255 in masks for what is to be ignored'
        )
    if not 2 <= len(names) <= MAX_CLASSES:
        raise UserError(
            f'{path}: lists {len(names)} classes; 2 to {MAX_CLASSES} are possible'
        )
    if not colored:
        return ClassList(names, first_is_nothing=entries[0][0] == NOTHING)
    pairs = list(zip((name for name, _ in entries), colored, strict=True))
    return ClassList(
        names,
        colors=tuple(color for name, color in pairs if name != NOTHING),
        ignored=tuple(color for name, color in pairs if name == NOTHING),
    )


def _parse(path: Path, number: int, line: str) -> tuple[str, Color | None]:
    line = line.strip()
    if not line:
        raise UserError(f'{path}: line {number} is empty; each line is one class')
    match = LINE.fullmatch(line)
    if match is None:
        return line, None
    red, green, blue = (int(value) for value in match.groups()[1:])
    if max(red, green, blue) > 255 or not match[1]:
        raise UserError(f'{path}: line {number} is no "name R G B": {line!r}')
    return match[1], (red, green, blue)
