"""What a video file holds: displayable frames, their time stamps, the key frames.

Every decoder works from this one index, read from the packets without decoding, so all
of them agree on the number of frames and on which frame is number *i*.
"""

from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from projects.video.faults import VideoFault

# First bytes of what is a video container; anything else that fails is no video.
SIGNATURES = (
    (0, b'RIFF'),
    (4, b'ftyp'),
    (4, b'moov'),
    (4, b'mdat'),
    (4, b'wide'),
    (0, b'\x1a\x45\xdf\xa3'),
    (0, b'\x00\x00\x01\xba'),
    (0, b'FLV'),
)
# A header may count a frame or two more than it holds; a cut file lacks many.
COMPLETE = 0.98


@dataclass(frozen=True)
class VideoIndex:
    """The displayable frames of a video, in the order in which they are shown.

    Attributes:
        path: the file.
        pts: time stamps in ticks of the stream, strictly increasing.
        tick: seconds of a tick.
        keys: time stamps of the key frames, where decoding can start, increasing; the
            first may lie before the first displayable frame.
        seekable: whether the time stamps can be trusted for seeking.
        codec: e.g. ``'h264'``, whatever the decoder of it is called.
        reordered: whether frames are coded in another order than they are shown (B
            frames).
        discarded: coded frames that are not shown: those before the start of a clip
            that was cut by stream copy and carries an edit list.
    """

    path: Path
    pts: tuple[int, ...]
    tick: float
    keys: tuple[int, ...]
    seekable: bool
    codec: str
    reordered: bool
    discarded: int

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def times(self) -> np.ndarray:
        """Time of each frame in seconds, the first at 0, ``(N,)`` float64."""
        return (np.array(self.pts, np.int64) - self.pts[0]) * self.tick

    def has_key_between(self, pts: int, later: int) -> bool:
        """Whether a key frame comes after a time stamp, up to a later one."""
        return bisect_right(self.keys, pts) < bisect_right(self.keys, later)


def read_index(path: str | Path) -> VideoIndex:
    """Read the index of a video from its packets; nothing is decoded.

    Frames whose packets the container marks as discarded are left out: that is what a
    player shows, and what a clip cut by stream copy was meant to be.

    Raises:
        VideoFault: the file is missing, empty, no video, without pictures, or cut off.
    """
    path = Path(path)
    _check_file(path)
    try:
        with av.open(str(path)) as container:
            return _index(path, container)
    except (av.FFmpegError, ValueError):
        raise _unopened(path) from None


def check_opens(path: str | Path) -> None:
    """Check that a file exists, opens and has pictures, no more.

    Raises:
        VideoFault: it does not.
    """
    path = Path(path)
    _check_file(path)
    try:
        with av.open(str(path)) as container:
            video_stream(path, container)
    except (av.FFmpegError, ValueError):
        raise _unopened(path) from None


def video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    """The stream to decode, with one thread.

    Raises:
        VideoFault: there is none: sound only, or a cover picture.
    """
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = 'NONE'
            return stream
    raise VideoFault('no pictures', path, 'it has no video stream')


def _index(path: Path, container: av.container.InputContainer) -> VideoIndex:
    stream = video_stream(path, container)
    shown, keys, stamps, packets, discarded = [], [], True, 0, 0
    counted, end = bool(stream.frames), 0.0
    # Without a count the end of all streams tells: the sound may outlast the pictures.
    for packet in container.demux(stream) if counted else container.demux():
        if not packet.size:
            continue
        if not counted:
            end = max(end, _end(packet))
        if packet.stream_index != stream.index:
            continue
        packets += 1
        stamps &= packet.pts is not None
        pts = packets if packet.pts is None else packet.pts
        if packet.is_keyframe:
            keys.append(pts)
        if packet.is_discard:
            discarded += 1
        else:
            shown.append(pts)
    if not shown:
        raise VideoFault('no pictures', path, 'it has no frame')
    if packets < COMPLETE * stream.frames:
        what = f'{packets} of {stream.frames} frames are there'
        raise VideoFault('truncated', path, what)
    # A header that counts no frames (Matroska, FLV) may know the duration.
    duration = (container.duration or 0) / av.time_base
    if not counted and end + _period(stream) < COMPLETE * duration:
        what = f'{end:.1f} of {duration:.1f} s are there'
        raise VideoFault('truncated', path, what)
    reordered = bool(stream.codec_context.has_b_frames)
    # AVI stores no presentation times; with B frames FFmpeg's guesses do not survive
    # a seek, so such a file is decoded from its start.
    guessed = container.format.name == 'avi' and reordered
    distinct = len(set(shown)) == len(shown)
    return VideoIndex(
        path=path,
        pts=tuple(sorted(shown)) if distinct else tuple(range(len(shown))),
        tick=float(stream.time_base) if stamps and distinct else _period(stream),
        keys=tuple(sorted(keys)),
        seekable=stamps and distinct and not guessed,
        codec=stream.codec.canonical_name,
        reordered=reordered,
        discarded=discarded,
    )


def _end(packet: av.Packet) -> float:
    """Seconds at which a packet ends, 0 without a time stamp."""
    if packet.pts is None:
        return 0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


def _period(stream: av.VideoStream) -> float:
    """Seconds a frame of a stream without time stamps."""
    return float(1 / stream.average_rate) if stream.average_rate else 1 / 25


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise VideoFault('missing', path, 'no such file')
    try:
        with path.open('rb') as file:
            start = file.read(1)
    except OSError as error:
        raise VideoFault('missing', path, error.strerror or str(error)) from None
    if not start:
        raise VideoFault('empty', path, 'it has 0 bytes')


def _unopened(path: Path) -> VideoFault:
    """Fault of a file that cannot be opened: a damaged video, or none at all."""
    with path.open('rb') as file:
        head = file.read(16)
    if any(head[at : at + len(mark)] == mark for at, mark in SIGNATURES):
        return VideoFault('truncated', path, 'its table of frames is missing')
    return VideoFault('no video', path, 'not a format that FFmpeg knows')
