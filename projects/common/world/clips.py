"""The world in motion: clips whose class is how the things move, in Kinetics' layout.

Each thing has a place across, a place down, a size and an angle. In a clip one of the
four runs steadily one way, and starts again at the other end when it arrives; the other
three sway to and fro. Every one of them is uniform over its range in every single
frame, whatever the class: no frame by itself tells the class, only their order does.
Classes come in pairs that are each other played backwards.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .scene import SMALLEST_SIDE, composite, picture_rng
from .texture import draw_background
from .thing import Layer, Thing, sample_thing

# The name of a class, which of the four state variables runs, and which way.
MOTIONS = {
    'moving left': (0, -1),
    'moving right': (0, 1),
    'moving up': (1, -1),
    'moving down': (1, 1),
    'shrinking': (2, -1),
    'growing': (2, 1),
    'turning left': (3, -1),
    'turning right': (3, 1),
}
CLIP_CLASSES = tuple(MOTIONS)
CLIP_SIZE = (96, 128)  # height, width
CLIP_FRAMES = 32
FPS = 25
RADII = (0.13, 0.32)  # share of the shorter side
MARGIN = 0.24  # of the centres from the border, share of the shorter side
# How much of its range a variable runs through in a clip, and sways by; a whole turn
# would be 1 for the angle.
RUNS = ((0.75, 1.0), (0.75, 1.0), (0.75, 1.0), (0.4, 0.55))
SWAYS = (0.0, 0.0, 0.0, 0.0)
MAX_MOVERS = 2
REACH = 1.5  # of a thing with its shadow and blurs, in radii
CRF = 18  # quality of H.264: 0 is lossless, 23 is usual

Track = Callable[[Iterable[int], str], Iterable[int]]


@dataclass(frozen=True)
class Mover:
    """A thing and its course.

    Args:
        thing: its looks; place, size and angle are replaced in every frame.
        start: the four state variables at the first frame, each in [0, 1).
        runs: how far each runs through the clip, in ranges; negative is backwards.
        sways: amplitude of the to and fro of each, in ranges.
        phases: of the to and fro, in periods.
    """

    thing: Thing
    start: ndarray
    runs: ndarray
    sways: ndarray
    phases: ndarray

    def state(self, time: float) -> ndarray:
        """Give the four variables in [0, 1] at a time from 0 (first frame) to 1."""
        sway = 1 - 4 * np.abs((self.phases + time) % 1 - 0.5)  # a triangle wave
        free = self.start + self.runs * time + self.sways * sway
        wrapped = free % 1
        folded = 1 - np.abs(free % 2 - 1)  # bounces at both ends
        wraps = (self.runs != 0) | (np.arange(4) == 3)
        return np.where(wraps, wrapped, folded)

    def place(self, time: float, height: int, width: int) -> Thing:
        """Give the thing as it is at a time, in an image of the given size."""
        across, down, size, turn = self.state(time)
        short = min(height, width)
        margin = MARGIN * short
        low, high = RADII
        x = margin + across * (width - 2 * margin)
        y = margin + down * (height - 2 * margin)
        return replace(
            self.thing,
            center=(float(x), float(y)),
            radius=float(short * low * (high / low) ** size),
            angle=float(2 * np.pi * turn),
        )


@dataclass(frozen=True)
class Clip:
    """A background and what moves before it.

    Shape:
        ``background``: ``(H, W, 3)`` float32 in [0, 1], BGR.
    """

    background: ndarray
    movers: tuple[Mover, ...]
    label: int
    num_frames: int

    def frames(self) -> Iterator[ndarray]:
        """Draw frame after frame, ``(H, W, 3)`` uint8, BGR."""
        height, width = self.background.shape[:2]
        for index in range(self.num_frames):
            time = index / self.num_frames
            things = [mover.place(time, height, width) for mover in self.movers]
            yield draw_frame(self.background, things)


def draw_frame(background: ndarray, things: Sequence[Thing]) -> ndarray:
    """Composite the things as ``scene.render`` does, each in its own part of the image.

    A thing covers a small part, so that this takes a quarter of the time.

    Shape:
        ``(H, W, 3)`` float32 in [0, 1] to uint8.
    """
    image = background.copy()
    height, width = image.shape[:2]
    for thing in things:
        reach = REACH * thing.radius + 3
        side = int(np.ceil(2 * reach)) + 1
        left, top = (int(np.floor(middle - reach)) for middle in thing.center)
        center = (thing.center[0] - left, thing.center[1] - top)
        layer = replace(thing, center=center).layer(side, side)
        rows = slice(max(-top, 0), min(height - top, side))
        columns = slice(max(-left, 0), min(width - left, side))
        shown = (layer.alpha, layer.color, layer.shadow)
        seen = Layer(*(values[rows, columns] for values in shown))
        window = image[max(top, 0) : top + side, max(left, 0) : left + side]
        window[:] = composite(window, [seen])
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def sample_mover(rng: Generator, height: int, width: int, label: int) -> Mover:
    """Draw a thing whose turns can be seen, and its course."""
    thing = sample_thing(rng, height, width, np.mean(RADII) * 2, 0)
    if thing.category == 'ring' and thing.fill == 'plain':
        thing = replace(thing, fill='stripes')
    which, way = MOTIONS[CLIP_CLASSES[label]]
    # Every mover draws the same numbers, so that nothing else depends on the class.
    start, speed, phases = rng.random(4), rng.random(4), rng.random(4)
    sways = np.array(SWAYS) * rng.uniform(0.6, 1, 4)
    runs = np.zeros(4)
    low, high = RUNS[which]
    runs[which] = way * (low + (high - low) * speed[which])
    sways[which] = 0
    return Mover(thing, start, runs, sways, phases)


def sample_clip(
    seed: int,
    split: str,
    index: int,
    size: tuple[int, int] = CLIP_SIZE,
    num_frames: int = CLIP_FRAMES,
) -> Clip:
    """Draw one clip of the world; classes take turns.

    Args:
        seed: of the world.
        split: one of ``scene.SPLITS``.
        index: of the clip in its split, from 0; its class is the index modulo 8.
        size: height and width, even numbers (H.264 stores colour at half the size).
        num_frames: at least 2.

    Raises:
        ValueError: an argument is not as described.

    Examples:
        >>> clip = sample_clip(seed=0, split='train', index=1)
        >>> CLIP_CLASSES[clip.label], len(list(clip.frames()))
        ('moving right', 32)
    """
    check_size(size, num_frames)
    height, width = size
    # A stream of its own: not the backgrounds of the still world.
    rng = picture_rng(seed, split, index).spawn(1)[0]
    background = draw_background(rng, height, width)
    label = index % len(CLIP_CLASSES)
    count = int(rng.integers(1, MAX_MOVERS, endpoint=True))
    movers = tuple(sample_mover(rng, height, width, label) for _ in range(count))
    return Clip(background, movers, label, num_frames)


def check_size(size: tuple[int, int], num_frames: int) -> None:
    """Refuse what cannot be drawn or encoded.

    Raises:
        ValueError: see :func:`sample_clip`.
    """
    height, width = size
    if min(size) < SMALLEST_SIDE or height % 2 or width % 2:
        raise ValueError(
            f'size must be (height, width), even and >= {SMALLEST_SIDE}, got {size}'
        )
    if num_frames < 2:
        raise ValueError(f'num_frames must be >= 2, got {num_frames}')


def encode_mp4(frames: Iterable[ndarray], fps: int = FPS) -> bytes:
    """Encode BGR uint8 frames as H.264 in mp4, by PyAV's libx264.

    Without B frames the file needs no edit list, which some readers ignore; a key
    frame every half second keeps seeking cheap; one thread keeps the bytes the same.
    """
    import av

    file = BytesIO()
    with av.open(file, 'w', format='mp4') as container:
        stream = None
        for frame in frames:
            if stream is None:
                options = {'crf': str(CRF), 'preset': 'veryfast', 'bf': '0'}
                stream = container.add_stream('libx264', rate=fps, options=options)
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = 'yuv420p'
                stream.codec_context.gop_size = max(fps // 2, 1)
                stream.codec_context.thread_count = 1
            picture = av.VideoFrame.from_ndarray(frame, format='bgr24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return file.getvalue()


def write_kinetics(
    root: Path | str,
    num_train: int = 320,
    num_val: int = 96,
    seed: int = 0,
    size: tuple[int, int] = CLIP_SIZE,
    num_frames: int = CLIP_FRAMES,
    fps: int = FPS,
    *,
    track: Track | None = None,
) -> Path:
    """Write the world as Kinetics is released: mp4 files and csv lists.

    The folder then holds ``train/*.mp4`` and ``val/*.mp4``, the lists ``train.csv``,
    ``val.csv`` and ``test.csv`` (the same as ``val.csv``, as in the release) with lines
    ``train/000000.mp4,label``, and ``class_names.txt``, one name a line. Clip i of a
    split depends on the seed, the split, i, size, num_frames and fps alone.

    Args:
        root: folder to fill; made if absent.
        num_train: training clips.
        num_val: validation clips, of other things than the training ones.
        seed: of the world.
        size: height and width; see :func:`sample_clip`.
        num_frames: of every clip.
        fps: frames per second.
        track: wraps the loop over the indices of a split, for a progress bar.

    Returns:
        ``root`` as a path.

    Raises:
        ValueError: a count is below 1, or another argument not as described.
        OSError: the folder cannot be written.
    """
    if min(num_train, num_val, fps) < 1:
        raise ValueError(
            f'counts and fps must be >= 1, got {num_train}, {num_val} and {fps}'
        )
    check_size(size, num_frames)
    root = Path(root)
    for split, count in (('train', num_train), ('val', num_val)):
        (root / split).mkdir(parents=True, exist_ok=True)
        lines = []
        indices: Iterable[int] = range(count)
        for index in track(indices, split) if track else indices:
            clip = sample_clip(seed, split, index, size, num_frames)
            name = f'{split}/{index:06d}.mp4'
            (root / name).write_bytes(encode_mp4(clip.frames(), fps))
            lines.append(f'{name},{clip.label}\n')
        (root / f'{split}.csv').write_text(''.join(lines))
    (root / 'test.csv').write_bytes((root / 'val.csv').read_bytes())
    (root / 'class_names.txt').write_text('\n'.join(CLIP_CLASSES) + '\n')
    return root
