"""Decoders: each reads frames of a video by their index, all give the same ones.

One thread each. A decoder belongs to the process that opened it.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import av
import cv2
import numpy as np

from projects.video.faults import VideoFault
from projects.video.index import VideoIndex, video_stream

Frames = dict[int, np.ndarray]
WHAT_LENGTH = 100  # characters of a decoder's own message that are worth a line


def shorten(error: Exception) -> str:
    """What a decoder says, in one short line."""
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= WHAT_LENGTH else f'{text[:WHAT_LENGTH]}...'


class Reader(ABC):
    """A video that is open for reading; a context manager.

    Args:
        index: what the file holds.

    Shape:
        :meth:`read` gives ``(N, H, W, 3)`` uint8, RGB, upright: a rotation that the
        container asks for is applied.
    """

    def __init__(self, index: VideoIndex) -> None:
        self.index = index

    @classmethod
    def can_read(cls, index: VideoIndex) -> bool:
        """Whether the decoder is known to be right for such a file."""
        return True

    def reads_alike(self) -> bool:
        """Whether the open decoder agrees with the index."""
        return True

    def __len__(self) -> int:
        return len(self.index)

    def __enter__(self) -> 'Reader':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Read frames.

        Args:
            indices: frame numbers from 0, in any order, repeats allowed.

        Raises:
            IndexError: a number is not that of a frame.
            VideoFault: a frame cannot be decoded, or has another size.
        """
        numbers = [int(i) for i in indices]
        if not numbers or min(numbers) < 0 or max(numbers) >= len(self):
            raise IndexError(f'{self.index.path} has {len(self)} frames, not {numbers}')
        try:
            frames = self._decode(sorted(set(numbers)))
        except Exception as error:  # decoders raise classes of their own
            raise VideoFault('corrupt', self.index.path, shorten(error)) from None
        missing = [number for number in numbers if number not in frames]
        if missing:
            what = f'frame {missing[0]} of {len(self)} cannot be decoded'
            raise VideoFault('corrupt', self.index.path, what)
        if len({frame.shape for frame in frames.values()}) > 1:
            raise VideoFault('corrupt', self.index.path, 'its frames differ in size')
        return np.stack([frames[number] for number in numbers])

    @abstractmethod
    def _decode(self, numbers: list[int]) -> Frames:
        """Decode distinct frame numbers in increasing order."""

    def close(self) -> None:  # noqa: B027 - not every decoder has something to free
        """Free the decoder."""


class PyAVReader(Reader):
    """PyAV: seek to the key frame before a frame, match frames by time stamp."""

    def _decode(self, numbers: list[int]) -> Frames:
        if self.index.seekable:
            try:
                found = self._decode_by_seeking(numbers)
            except av.FFmpegError:
                found = {}
            if len(found) == len(numbers):
                return found
        return self._decode_from_start(numbers)

    def _decode_by_seeking(self, numbers: list[int]) -> Frames:
        """Frames found and sound; fewer than asked for where seeking goes wrong."""
        found: Frames = {}
        pending = {self.index.pts[number]: number for number in numbers}
        with av.open(str(self.index.path)) as container:
            stream = video_stream(self.index.path, container)
            while pending:
                container.seek(next(iter(pending)), stream=stream, backward=True)
                if not self._decode_to_next_key(container, stream, pending, found):
                    break
        return found

    def _decode_to_next_key(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        pending: dict[int, int],
        found: Frames,
    ) -> bool:
        """Decode on, until a key frame lies between here and the next frame wanted.

        Returns:
            Whether all went well.
        """
        for frame in container.decode(stream):
            target = next(iter(pending))
            if frame.pts is None or frame.pts > target:
                return False
            if frame.pts < target:
                continue
            if frame.is_corrupt:
                return False
            found[pending.pop(target)] = _to_rgb(frame)
            if not pending:
                return True
            if self.index.has_key_between(target, next(iter(pending))):
                return True
        return False

    def _decode_from_start(self, numbers: list[int]) -> Frames:
        """Decode everything up to the last frame wanted, past damaged packets."""
        wanted, found = set(numbers), {}
        numbered = {pts: number for number, pts in enumerate(self.index.pts)}
        with av.open(str(self.index.path)) as container:
            stream = video_stream(self.index.path, container)
            for position, frame in enumerate(_all_frames(container, stream)):
                if frame is None and not self.index.seekable:
                    break  # something is lost: later positions mean nothing
                if frame is None:
                    continue
                number = position
                if self.index.seekable:
                    number = numbered.get(frame.pts, -1)
                if number in wanted and not frame.is_corrupt:
                    found[number] = _to_rgb(frame)
                if number >= numbers[-1]:
                    break
        return found


class TorchcodecReader(Reader):
    """torchcodec in its exact mode."""

    @classmethod
    def can_read(cls, index: VideoIndex) -> bool:
        """Not B frames in an AVI."""
        return index.seekable

    def __init__(self, index: VideoIndex) -> None:
        super().__init__(index)
        decoder = import_module('torchcodec.decoders').VideoDecoder
        self._video = decoder(
            str(index.path),
            dimension_order='NHWC',
            num_ffmpeg_threads=1,
            seek_mode='exact',
        )

    def reads_alike(self) -> bool:
        return len(self._video) == len(self.index)

    def _decode(self, numbers: list[int]) -> Frames:
        frames = self._video.get_frames_at(numbers).data.numpy()
        return dict(zip(numbers, frames, strict=True))

    def close(self) -> None:
        self._video = None


class DecordReader(Reader):
    """decord with one thread on the CPU."""

    @classmethod
    def can_read(cls, index: VideoIndex) -> bool:
        """Neither B frames of MPEG-4 part 2 or of an AVI, nor an edit list, nor AV1."""
        mixed = index.reordered and index.codec == 'mpeg4'
        unknown = index.codec == 'av1'  # its wheel has no decoder for it
        return index.seekable and not (mixed or index.discarded or unknown)

    def __init__(self, index: VideoIndex) -> None:
        super().__init__(index)
        decord = import_module('decord')
        decord.logging.set_level(decord.logging.QUIET)
        self._video = decord.VideoReader(str(index.path), num_threads=1)

    def reads_alike(self) -> bool:
        return len(self._video) == len(self.index)

    def _decode(self, numbers: list[int]) -> Frames:
        frames = self._video.get_batch(numbers).asnumpy()
        return dict(zip(numbers, frames, strict=True))

    def close(self) -> None:
        self._video = None


class OpenCVReader(Reader):
    """OpenCV, which seeks to the wrong frame at times: grabs from the start instead."""

    @classmethod
    def can_read(cls, index: VideoIndex) -> bool:
        """Not AV1, which its wheel opens without having a decoder for it."""
        return index.codec != 'av1'

    def __init__(self, index: VideoIndex) -> None:
        super().__init__(index)
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # quiet
        self._video: Any = None

    def _decode(self, numbers: list[int]) -> Frames:
        self.close()
        options = [cv2.CAP_PROP_N_THREADS, 1]
        self._video = cv2.VideoCapture(str(self.index.path), cv2.CAP_FFMPEG, options)
        self._video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        clockwise = self._video.get(cv2.CAP_PROP_ORIENTATION_META)
        wanted, found = set(numbers), {}
        for number in range(numbers[-1] + 1):
            if not self._video.grab():
                break
            if number in wanted:
                good, frame = self._video.retrieve()
                if good:
                    image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                    found[number] = _upright(image, -clockwise)
        return found

    def close(self) -> None:
        if self._video is not None:
            self._video.release()
        self._video = None


def _all_frames(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[av.VideoFrame | None]:
    """Frames in the order they are shown; ``None`` where a packet is damaged."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = [] if packet is None else packet.decode()
        except av.FFmpegError:
            yield None
            continue
        if packet is None:
            return
        yield from frames


def _to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Frame as ``(H, W, 3)`` uint8 RGB, turned upright."""
    return _upright(frame.to_ndarray(format='rgb24', threads=1), frame.rotation)


def _upright(image: np.ndarray, degrees: float) -> np.ndarray:
    """Turn an image counterclockwise by the quarter turns nearest to an angle."""
    turns = round(degrees / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image
