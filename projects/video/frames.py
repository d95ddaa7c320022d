"""Folders of frames: count them, check them, extract them from a video."""

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from projects.video.faults import VideoFault
from projects.video.reader import open_video

BATCH = 64  # frames that are decoded and held at a time
QUALITY = 95  # of the JPEGs; the release wrote its own with the best setting of FFmpeg


def count_frames(folder: Path, template: str) -> int:
    """Number of frames, numbered from 1 without a gap.

    Args:
        folder: where they are.
        template: their names, e.g. ``'img_{:05}.jpg'``.

    Raises:
        VideoFault: the folder is missing, has no such file, or a gap.
    """
    if not folder.is_dir():
        raise VideoFault('missing', folder, 'no such folder')
    names = {path.name for path in folder.iterdir()}
    count = 0
    while template.format(count + 1) in names:
        count += 1
    if not count:
        what = f'no {template.format(1)} in it'
        raise VideoFault('missing' if names else 'empty', folder, what)
    pictures = sum(Path(name).suffix == Path(template).suffix for name in names)
    if pictures > count:
        what = f'{template.format(count + 1)} is missing, of {pictures} pictures'
        raise VideoFault('missing', folder, what)
    return count


def check_frames(folder: Path, template: str, quick: bool) -> int:
    """Number of frames; unless quick, the first and the last are decoded.

    Raises:
        VideoFault: see :func:`count_frames`; or a picture is damaged.
    """
    count = count_frames(folder, template)
    for number in () if quick else (1, count):
        name = template.format(number)
        if cv2.imread(str(folder / name)) is None:
            raise VideoFault('corrupt', folder, f'{name} cannot be decoded')
    return count


def output_frames(times: np.ndarray, fps: float) -> list[int]:
    """Which frame of a video is shown at each tick of another frame rate.

    Args:
        times: time stamps in seconds, the first 0, ``(N,)``.
        fps: frames a second wanted; 0 for the frames as they are.

    Examples:
        >>> output_frames(np.array([0, 0.1, 0.2]), 20)
        [0, 0, 1, 1, 2, 2]
    """
    if not fps:
        return list(range(len(times)))
    period = times[-1] / (len(times) - 1) if len(times) > 1 else 1 / fps
    ticks = np.arange(round((times[-1] + period) * fps)) / fps
    # A tick belongs to a frame up to rounding of the time stamps.
    shown = np.searchsorted(times, ticks + 1e-4, side='right') - 1
    return [int(i) for i in np.clip(shown, 0, len(times) - 1)]


def extract_frames(video: Path, folder: Path, template: str, fps: float) -> int:
    """Write the frames of a video as pictures; the folder appears when it is whole.

    Args:
        video: the file.
        folder: where to; one that exists is left as it is.
        template: names of the frames, counted from 1.
        fps: frames a second; 0 for the frames as they are.

    Returns:
        Number of frames in the folder.

    Raises:
        VideoFault: the video cannot be read.
        OSError: a file cannot be written.
    """
    if folder.is_dir():
        return count_frames(folder, template)
    part = folder.with_name(f'.{folder.name}.{uuid.uuid4().hex}')
    part.mkdir(parents=True)
    try:
        count = 0
        for image in _shown_frames(video, fps):
            count += 1
            bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
            name = str(part / template.format(count))
            if not cv2.imwrite(name, bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
                raise OSError(f'{name}: cannot be written')
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return count


def _shown_frames(video: Path, fps: float) -> Iterator[np.ndarray]:
    with open_video(video) as reader:
        wanted = output_frames(reader.index.times, fps)
        for start in range(0, len(wanted), BATCH):
            yield from reader.read(wanted[start : start + BATCH])
