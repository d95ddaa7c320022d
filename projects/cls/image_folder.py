"""A user's own images in class folders: lists that mmpretrain reads, and checks."""

import io
import os
import uuid
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from PIL import Image

from projects.common.class_folders import (
    ClassFolders,
    find_class_folders,
    find_files,
    list_folder,
)
from projects.common.errors import UserError
from projects.common.media import IMAGES

LAYOUT = """  {root}/CLASS/*.jpg     (split 80/20 by file name), or
  {root}/train/CLASS/*.jpg and {root}/val/CLASS/*.jpg"""
CHECKED = 2000  # images of a split that are decoded before a run, evenly chosen
NAMED = 3  # bad images in a message

find_images = partial(find_files, suffixes=IMAGES)


def read_image_folder(root: str | Path) -> ClassFolders:
    """Read a folder of images laid out as ``LAYOUT``.

    Raises:
        UserError: it is not.
    """
    return find_class_folders(root, find_images, 'images', LAYOUT)


def write_image_lists(
    folders: ClassFolders, out: Path | None = None
) -> tuple[Path, Path]:
    """Write ``train.txt`` and ``val.txt``, a name and a label in each line.

    Args:
        folders: what to list.
        out: where; by default a cache folder, so that the data stay untouched.

    Raises:
        OSError: the folder cannot be written.
    """
    out = out or list_folder(folders.root)
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for split, part in (('train', folders.train), ('val', folders.val)):
        file = out / f'{split}.txt'
        draft = out / f'.{split}.{uuid.uuid4().hex}'
        draft.write_text(''.join(f'{name} {label}\n' for name, label in part), 'utf-8')
        draft.replace(file)  # whole, or as it was
        files.append(file)
    return files[0], files[1]


def read_image_list(file: Path) -> list[tuple[str, int]]:
    """Read the names and labels of a list.

    Raises:
        UserError: a line is not ``NAME LABEL``.
    """
    pairs = []
    for number, line in enumerate(file.read_text('utf-8').splitlines(), 1):
        name, _, label = line.strip().rpartition(' ')
        if not name or not label.isdigit():
            raise UserError(f'{file}: line {number} is not NAME LABEL: {line!r}')
        pairs.append((name, int(label)))
    return pairs


def check_images(paths: Sequence[Path], split: str) -> None:
    """Decode the images of a split, at most ``CHECKED`` of them, evenly chosen.

    Raises:
        UserError: some are missing, empty, damaged or no images.
    """
    step = max(1, -(-len(paths) // CHECKED))
    chosen = paths[::step]
    wrong = [f'{path} ({reason})' for path, reason in find_bad_images(chosen)]
    if wrong:
        more = f' and {len(wrong) - NAMED} more' if len(wrong) > NAMED else ''
        raise UserError(
            f'{", ".join(wrong[:NAMED])}{more}: {len(wrong)} of {len(chosen)} {split} '
            'images checked cannot be read; repair or remove them'
        )


def find_bad_images(paths: Iterable[Path]) -> Iterable[tuple[Path, str]]:
    """Give each image that cannot be decoded, with the reason."""
    for path in paths:
        try:
            content = path.read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                image.draft('RGB', (64, 64))  # a JPEG is decoded at an eighth
                image.load()
        except FileNotFoundError:
            yield path, 'missing'
        except Image.UnidentifiedImageError:
            yield path, 'no image' if content else 'empty'
        except (
            OSError,
            ValueError,
            SyntaxError,
            Image.DecompressionBombError,
        ) as error:
            yield path, str(error).split(os.linesep)[0]
