"""The world in motion: clips whose class is how the picture moves, as Kinetics lists.

A clip looks at a wide cloth and moves over it in one of eight ways. It is a film of a
few shots: now and then it cuts to another place, angle and size, and moves on in the
same way. In every single frame place, angle and size are uniform, whatever the class:
no frame by itself tells the class, and because of the cuts neither do the frames in
another order. Classes come in pairs that are each other played backwards.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .scene import SMALLEST_SIDE, picture_rng
from .splits import Track, each_split

# The name of a class, which of (across, down, size, turn) runs, and which way.
MOTIONS = MappingProxyType(
    {
        'moving left': (0, -1),
        'moving right': (0, 1),
        'moving up': (1, -1),
        'moving down': (1, 1),
        'shrinking': (2, -1),
        'growing': (2, 1),
        'turning left': (3, -1),
        'turning right': (3, 1),
    }
)
CLIP_CLASSES = tuple(MOTIONS)
CLIP_SIZE = (96, 128)  # height, width
CLIP_FRAMES = 32
FPS = 25
# How far the picture runs from the first frame to the last, were there no cuts: shares
# of the shorter side, doublings of the size, turns.
RUNS = ((0.4, 0.55), (0.4, 0.55), (1.0, 1.4), (0.16, 0.23))
SHOT = 0.4  # length of a shot, as a share of the clip
ZOOM = 0.8  # the smallest size; the largest is twice that
SIDE = 2.5  # of the square scene, in shorter sides of the frame
PERIODS = (0.22, 0.3)  # from blot to blot, in shorter sides
BLURS = (0.22, 0.45)  # deviations of the two blurs, in periods
CONTRASTS = (0.2, 0.3)  # deviation of the blots in [0, 1]
CRF = 18  # quality of H.264: 0 is lossless, 23 is usual


@dataclass(frozen=True)
class Course:
    """Where a clip looks at every time.

    Args:
        starts: of each shot: place across and down, in [0, 1) of the endless plane that
            the scene and its mirror images tile; size, in [0, 1) of its range; turn.
        runs: of picture across and down, size and turn, in a whole clip.
        phase: how much of a shot is over at the first frame, in [0, 1).
    """

    starts: ndarray
    runs: ndarray
    phase: float

    def state(self, time: float) -> tuple[ndarray, ndarray]:
        """Give the place and what moved since the shot began.

        Args:
            time: 0 at the first frame, 1 at the end of the clip.

        Shape:
            ``(4,)`` as in ``starts``, size and turn at that time; ``(2,)`` motion of
            the picture across and down, in shorter sides.
        """
        shot, part = divmod(time / SHOT + self.phase, 1)
        moved = self.runs * part * SHOT
        start = self.starts[int(shot)]
        # A size that runs out of its range starts again at the other end: a cut, too.
        return np.append(start[:2], (start[2:] + moved[2:]) % 1), moved[:2]

    def matrix(self, time: float, height: int, width: int) -> ndarray:
        """Give where each pixel of the frame lies in the scene, ``(2, 3)`` float64."""
        (across, down, size, turn), moved = self.state(time)
        short = min(height, width)
        cos, sin = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
        back = np.array([[cos, sin], [-sin, cos]]) / (ZOOM * 2**size)
        middle = np.array([width, height]) / 2 + moved * short
        place = np.array([across, down]) * 2 * SIDE * short
        return np.column_stack([back, place - back @ middle])


@dataclass(frozen=True)
class Clip:
    """A scene and how it is filmed.

    Shape:
        ``scene``: ``(S, S, 3)`` uint8, BGR.
    """

    scene: ndarray
    course: Course
    label: int
    size: tuple[int, int]
    num_frames: int

    def frames(self) -> Iterator[ndarray]:
        """Film frame after frame, ``(H, W, 3)`` uint8, BGR."""
        height, width = self.size
        for index in range(self.num_frames):
            matrix = self.course.matrix(index / self.num_frames, height, width)
            yield cv2.warpAffine(
                self.scene,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT,
            )


def draw_wide_scene(rng: Generator, short: int) -> ndarray:
    """Draw a square cloth, ``SIDE`` times ``short`` wide, of soft blots of one size.

    Noise between two blurs. One size everywhere makes motion plain to filters over a
    few pixels and frames, so that models learn it from nothing in a short run.

    Shape:
        Returns ``(S, S, 3)`` uint8, BGR.
    """
    side, period = round(SIDE * short), rng.uniform(*PERIODS) * short
    noise = rng.standard_normal((side, side, 3)).astype(np.float32)
    fine, coarse = (
        cv2.GaussianBlur(noise, (0, 0), period * sigma, borderType=cv2.BORDER_REFLECT)
        for sigma in BLURS
    )
    blots = (fine - coarse) @ (np.eye(3) + rng.uniform(0, 1, (3, 3)))
    contrast = rng.uniform(*CONTRASTS)
    image = rng.uniform(0.35, 0.65, 3) + contrast * blots / blots.std()
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def sample_course(rng: Generator, label: int) -> Course:
    """Draw the course of a clip; all but the runs is the same for every class."""
    starts = rng.random((int(1 / SHOT) + 2, 4))
    phase, speeds = rng.random(), rng.random(4)
    which, way = MOTIONS[CLIP_CLASSES[label]]
    runs = np.zeros(4)
    low, high = RUNS[which]
    runs[which] = way * (low + (high - low) * speeds[which])
    return Course(starts, runs, float(phase))


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
    # A stream of its own: not the backgrounds of the still world.
    rng = picture_rng(seed, split, index).spawn(1)[0]
    label = index % len(CLIP_CLASSES)
    course = sample_course(rng, label)
    return Clip(draw_wide_scene(rng, min(size)), course, label, tuple(size), num_frames)


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
    ``train/000000.mp4,label``, and ``classes.txt``, one name a line. Clip i of a
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
    if fps < 1:
        raise ValueError(f'fps must be >= 1, got {fps}')
    check_size(size, num_frames)
    root = Path(root)
    for split, indices in each_split(num_train, num_val, track):
        (root / split).mkdir(parents=True, exist_ok=True)
        lines = []
        for index in indices:
            clip = sample_clip(seed, split, index, size, num_frames)
            name = f'{split}/{index:06d}.mp4'
            (root / name).write_bytes(encode_mp4(clip.frames(), fps))
            lines.append(f'{name},{clip.label}\n')
        (root / f'{split}.csv').write_text(''.join(lines))
    (root / 'test.csv').write_bytes((root / 'val.csv').read_bytes())
    (root / 'classes.txt').write_text('\n'.join(CLIP_CLASSES) + '\n')
    return root
