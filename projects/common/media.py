"""Images and videos that a user names: found, read, refused with a reason."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray
from PIL import Image

from projects.common.errors import UserError

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm')
VIDEOS = ('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v', '.mpg', '.mpeg')
MAX_PIXELS = 178_956_970  # where PIL suspects a decompression bomb


class InputError(UserError):
    """An input that cannot be used; the others can."""


def find_files(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """The file itself, or all files with these suffixes in a folder and below.

    Raises:
        InputError: there is nothing of this kind.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError('no such file or folder')
    inside = sorted(path.rglob('*'))
    files = [file for file in inside if file.suffix.lower() in suffixes]
    if not files:
        raise InputError(f'a folder without any of {", ".join(suffixes)}')
    return files


def read_image(path: Path) -> ndarray:
    """Read an image as the test pipelines do, but never in part.

    Shape:
        ``(H, W, 3)`` uint8 BGR, upright.

    Raises:
        InputError: it is too large, damaged or no image.
    """
    content = path.read_bytes()
    try:
        with Image.open(BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(_too_large(f'{image.width} x {image.height}'))
            image.load()  # OpenCV would fill what is missing with grey
    except Image.DecompressionBombError as error:
        raise InputError(_too_large('')) from error
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError) as error:
        what = 'cannot be read as an image'
        if not isinstance(error, Image.UnidentifiedImageError):
            what += f': {error}'
        raise InputError(what) from error
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise InputError('cannot be read as an image: OpenCV has no decoder for it')
    return pixels


def read_frames(path: Path, count: int) -> list[ndarray]:
    """Read frames evenly over a video, at most ``count``.

    Shape:
        Each ``(H, W, 3)`` uint8 BGR.

    Raises:
        InputError: no frame can be read.
    """
    video = cv2.VideoCapture(str(path))
    try:
        total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        frames = []
        for number in np.unique(np.linspace(0, max(total - 1, 0), count).astype(int)):
            video.set(cv2.CAP_PROP_POS_FRAMES, int(number))
            done, frame = video.read()
            if done:
                frames.append(frame)
    finally:
        video.release()
    if not frames:
        raise InputError('cannot be read as a video')
    return frames


def _too_large(size: str) -> str:
    return f'{size} has more than {MAX_PIXELS:,} pixels'.strip()
