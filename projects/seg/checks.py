"""What is wrong with images and masks, found before the first step."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from numpy import ndarray
from PIL import Image

from projects.common.errors import UserError
from projects.seg.loading import IGNORED, label_colors

# Every file is opened; of more masks than this, every k-th is read to the end.
READ_MASKS = 4000
LABEL_MODES = ('1', 'L', 'P')
COLOR_MODES = (*LABEL_MODES, 'RGB', 'RGBA', 'LA')
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap height and width
ORIENTATION = 0x0112

Colors = Sequence[Sequence[int]]


def check_masks(
    items: Sequence[dict[str, Any]], labels: int, colors: Colors, where: str
) -> None:
    """Check images and masks of one split.

    Args:
        items: with ``img_path`` and ``seg_map_path``.
        labels: masks hold 0 to ``labels - 1``, and 255 for what is ignored.
        colors: RGB that masks may hold instead; empty for masks of labels.
        where: what the message calls this split.

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
    look = partial(find_fault, labels=labels, colors=colors)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(look, items, (i % step == 0 for i in range(len(items))))
        faults = [fault for fault in found if fault]
    if faults:
        more = f'; {len(faults)} of {len(items)} have faults' if faults[1:] else ''
        raise UserError(f'{faults[0]} ({where}{more})')


def find_fault(
    item: dict[str, Any], read: bool, labels: int, colors: Colors
) -> str | None:
    """Say what is wrong with one image and its mask, None if nothing is.

    Args:
        item: with ``img_path`` and ``seg_map_path``.
        read: also read the labels.
        labels: see :func:`check_masks`.
        colors: see :func:`check_masks`.
    """
    image, mask = Path(item['img_path']), Path(item['seg_map_path'])
    if not image.is_file():
        return f'{image}: no such image'
    if not mask.is_file():
        return f'{image}: has no mask {mask}'
    try:
        size = _upright_size(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        return f'{image}: cannot be read as an image ({error})'
    try:
        with Image.open(mask) as opened:
            if opened.size != size:
                sides = '{} x {}, its mask {} x {}'.format(*size, *opened.size)
                return f'{mask}: the image is {sides}'
            return _mode_fault(mask, opened.mode, bool(colors)) or (
                _label_fault(mask, opened, labels, colors) if read else None
            )
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        return f'{mask}: cannot be read as an image ({error})'


def _upright_size(path: Path) -> tuple[int, int]:
    """Width and height as the image is loaded, which is upright."""
    with Image.open(path) as image:
        width, height = image.size
        sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
    return (height, width) if sideways else (width, height)


def _mode_fault(mask: Path, mode: str, colored: bool) -> str | None:
    if mode in (COLOR_MODES if colored else LABEL_MODES):
        return None
    if mode.startswith(('I', 'F')):
        return f'{mask}: is no 8-bit mask but {mode}; save labels 0 to 255 as 8-bit PNG'
    return (
        f'{mask}: is a colour picture ({mode}); save labels as 8-bit PNG, or list '
        'the colours in classes.txt as "name R G B"'
    )


def _label_fault(
    mask: Path, opened: Image.Image, labels: int, colors: Colors
) -> str | None:
    if colors:
        pixels = np.asarray(opened.convert('RGB'))
        unknown = pixels[label_colors(pixels, colors) == IGNORED]
        return (
            f'{mask}: holds the colour {tuple(map(int, unknown[0]))}, which is not in '
            'classes.txt'
            if len(unknown)
            else None
        )
    values: ndarray = np.unique(np.asarray(opened))
    wrong = values[(values >= labels) & (values != IGNORED)]
    if not len(wrong):
        return None
    kind = ' (a palette image: its indices are read as labels)' * (opened.mode == 'P')
    return (
        f'{mask}: holds label {int(wrong[-1])}, but labels go from 0 to {labels - 1}, '
        f'255 is ignored{kind}'
    )
