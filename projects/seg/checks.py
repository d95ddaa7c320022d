"""What is wrong with images and masks, found before the first step."""

import logging
import os
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from PIL import Image

from projects.common.errors import UserError
from projects.seg.loading import IGNORED, check_labels, label_colors, labels_in

# Every file is opened; of more masks than this, every k-th is read to the end.
READ_MASKS = 10_000
LABEL_MODES = ('1', 'L', 'P')
COLOR_MODES = (*LABEL_MODES, 'RGB', 'RGBA', 'LA')
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width
ORIENTATION = 0x0112
UNREADABLE = (OSError, SyntaxError, Image.DecompressionBombError)
PALETTE = ' (a palette image: its indices are read as labels)'
LISTED = 5  # classes named in a warning

Colors = Sequence[Sequence[int]]


def check_masks(
    items: Sequence[dict[str, Any]], labels: int, colors: Colors, where: str
) -> set[int]:
    """Check images and masks of one split.

    Args:
        items: with ``img_path`` and ``seg_map_path``.
        labels: masks hold 0 to ``labels - 1``, and 255 for what is ignored.
        colors: RGB that masks may hold instead; empty for masks of labels.
        where: what the message calls this split.

    Returns:
        The labels, or places in ``colors``, that were seen; 255 for what is ignored.

    Raises:
        UserError: names the first file that is wrong, in one line.
    """
    step = -(-len(items) // READ_MASKS)
    if step > 1:
        print_log(
            f'{where}: opening {len(items)} images and masks, reading the labels of '
            f'every {step}th',
            logger='current',
        )
    look = partial(_look, labels=labels, colors=colors)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(look, items, (i % step == 0 for i in range(len(items)))))
    faults = [fault for fault in found if isinstance(fault, UserError)]
    if faults:
        more = f'; {len(faults)} of {len(items)} have faults' if faults[1:] else ''
        raise UserError(f'{faults[0]} ({where}{more})')
    return set().union(*found)


def check_classes(
    seen: Set[int], names: Sequence[str | None], masks: Path, where: str
) -> None:
    """Refuse masks that teach nothing, and warn of classes that never occur.

    Args:
        seen: what :func:`check_masks` returns.
        names: class of each label or colour; ``None`` where it is none.
        masks: folder of the masks, for messages.
        where: what the message calls this split.

    Raises:
        UserError: fewer than two classes occur.
    """
    absent = [label for label, name in enumerate(names) if name and label not in seen]
    if not absent:
        return
    classes = len(names) - names.count(None)
    shown = ', '.join(repr(names[label]) for label in absent[:LISTED])
    more = f' and {len(absent) - LISTED} more' if len(absent) > LISTED else ''
    if classes - len(absent) < 2:
        label = f'{names[absent[0]]!r} is label {absent[0]}'
        hint = f'; 255 is ignored: are these 0/255 masks? {label}'
        hint = hint if IGNORED in seen else ''
        raise UserError(
            f'{masks}: fewer than two classes, there is nothing to tell apart: {shown}'
            f'{more} in no mask{hint} ({where})'
        )
    print_log(
        f'{masks}: {len(absent)} of {classes} classes are in no mask that was read: '
        f'{shown}{more} ({where})',
        logger='current',
        level=logging.WARNING,
    )


def _look(
    item: dict[str, Any], read: bool, labels: int, colors: Colors
) -> set[int] | UserError:
    """Labels of a mask, or what is wrong with it: all are looked at, then one named."""
    try:
        return read_labels(item, read, labels, colors)
    except UserError as fault:
        return fault


def read_labels(
    item: dict[str, Any], read: bool, labels: int, colors: Colors
) -> set[int]:
    """Open an image and its mask, and read the labels.

    Args:
        item: with ``img_path`` and ``seg_map_path``.
        read: also read the labels.
        labels: see :func:`check_masks`.
        colors: see :func:`check_masks`.

    Raises:
        UserError: says what is wrong with one of them.
    """
    image, mask = Path(item['img_path']), Path(item['seg_map_path'])
    if not image.is_file():
        raise UserError(f'{image}: no such image')
    if not mask.is_file():
        raise UserError(f'{image}: has no mask {mask}')
    try:
        size = _upright_size(image)
    except UNREADABLE as error:
        raise UserError(f'{image}: cannot be read as an image ({error})') from None
    try:
        with Image.open(mask) as opened:
            if opened.size != size:
                sides = '{} x {}, its mask {} x {}'.format(*size, *opened.size)
                raise UserError(f'{mask}: the image is {sides}')
            _check_mode(mask, opened.mode, bool(colors))
            return _read(mask, opened, labels, colors) if read else set()
    except UNREADABLE as error:
        raise UserError(f'{mask}: cannot be read as an image ({error})') from None


def _upright_size(path: Path) -> tuple[int, int]:
    """Width and height as the image is loaded, which is upright."""
    with Image.open(path) as image:
        width, height = image.size
        sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
    return (height, width) if sideways else (width, height)


def _check_mode(mask: Path, mode: str, colored: bool) -> None:
    if mode in (COLOR_MODES if colored else LABEL_MODES):
        return
    if mode.startswith(('I', 'F')):
        raise UserError(
            f'{mask}: is no 8-bit mask but {mode}; save labels 0 to 255 as 8-bit PNG'
        )
    raise UserError(
        f'{mask}: is a colour picture ({mode}); save labels as 8-bit PNG, or list '
        'the colours in classes.txt as "name R G B"'
    )


def _read(mask: Path, opened: Image.Image, labels: int, colors: Colors) -> set[int]:
    if not colors:
        seen = labels_in(np.asarray(opened))
        check_labels(seen, labels, mask, PALETTE * (opened.mode == 'P'))
        return seen
    pixels = np.asarray(opened.convert('RGB'))
    places = label_colors(pixels, colors)
    unknown = pixels[places == IGNORED]
    if len(unknown):
        raise UserError(
            f'{mask}: holds the colour {tuple(map(int, unknown[0]))}, which is not in '
            'classes.txt'
        )
    return labels_in(places)
