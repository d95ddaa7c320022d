"""RandAugment and AutoAugment in timm's grammar, drawn once and applied to many frames.

timm's ops draw their parameters while they run, so a clip would flicker. Here timm's
own objects are run on a list of notes in place of an image: timm makes every random
choice, in its own order, and each op that fires notes its name and its arguments. The
notes are then applied to all frames, and their geometry to a label map if there is one.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy import ndarray
from PIL import Image
from timm.data import auto_augment as timm_ops

VIDEO_FILL = (128, 128, 128)
INTERPOLATIONS = MappingProxyType(
    {
        'bilinear': Image.Resampling.BILINEAR,
        'bicubic': Image.Resampling.BICUBIC,
        'random': (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC),
    }
)
BACKENDS = ('cv2', 'pillow')
CV2_FLAGS = MappingProxyType(
    {
        Image.Resampling.BILINEAR: cv2.INTER_LINEAR,
        Image.Resampling.BICUBIC: cv2.INTER_CUBIC,
    }
)
# timm skips a section that it cannot read; a typing error would change the recipe.
SECTION = re.compile(r'(m|n|mmax|inc)\d+|(p|mstd)\d+\.?\d*|t(weights|3aw?)')
AUTO_SECTION = re.compile(r'mstd\d+\.?\d*')
AUTO_POLICIES = ('v0', 'v0r', 'original', 'originalr')
FIXED_TABLES = ('Invert', 'Posterize', 'Solarize', 'SolarizeAdd', 'Brightness')
IDENTITY = np.arange(256, dtype=np.uint8)


def _rotation(width: int, height: int, degrees: float) -> list[list[float]]:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = width / 2, height / 2
    return [[cos, -sin, x - cos * x + sin * y], [sin, cos, y - sin * x - cos * y]]


# Inverse matrices for (width, height, argument); see Step.matrix.
GEOMETRY: MappingProxyType[str, Callable[..., list[list[float]]]] = MappingProxyType(
    {
        'Rotate': _rotation,
        'ShearX': lambda width, height, factor: [[1, factor, 0], [0, 1, 0]],
        'ShearY': lambda width, height, factor: [[1, 0, 0], [factor, 1, 0]],
        'TranslateXRel': lambda width, height, part: [[1, 0, part * width], [0, 1, 0]],
        'TranslateYRel': lambda width, height, part: [[1, 0, 0], [0, 1, part * height]],
    }
)


@dataclass(frozen=True)
class Step:
    """One op with everything drawn.

    Args:
        name: timm's, such as ``'Rotate'``; without the ending ``Increasing`` or
            ``Original``, which names a table of levels and not another op.
        args: of the op, such as degrees; never a level.
        fill: colour of what comes from outside the image, RGB.
        resample: interpolation of a geometric op, as Pillow counts.
    """

    name: str
    args: tuple[float, ...] = ()
    fill: tuple[int, int, int] = VIDEO_FILL
    resample: int = Image.Resampling.BICUBIC

    @property
    def is_geometric(self) -> bool:
        """Whether pixels move."""
        return self.name in GEOMETRY

    def matrix(self, width: int, height: int) -> ndarray:
        """Give where each output pixel comes from, for a map of any size.

        Shape:
            ``(2, 3)`` float64: (x, y, 1) of the output to (x, y) of the input, in
            coordinates where pixel i spans [i, i + 1].

        Raises:
            KeyError: the op is not geometric.
        """
        return np.float64(GEOMETRY[self.name](width, height, *self.args))

    def apply_pillow(self, image: Image.Image) -> Image.Image:
        """Run timm's own op."""
        op = timm_ops.NAME_TO_OP[self.name]
        return op(image, *self.args, fillcolor=self.fill, resample=self.resample)

    def apply(self, frame: ndarray, backend: str = 'cv2') -> ndarray:
        """Apply the op to a frame, which stays as it is.

        Args:
            frame: RGB.
            backend: of the geometric ops. ``'pillow'`` is timm to the bit. ``'cv2'``
                is several times faster and the same map, but its bicubic kernel is
                sharper (a = -0.75, not -0.5), its positions are multiples of 1/32
                pixel, and it blends the fill into the outermost pixel. All
                other ops are timm's to the bit either way.

        Shape:
            ``(H, W, 3)`` uint8 in and out.
        """
        if self.is_geometric and backend == 'cv2':
            matrix = self.matrix(*frame.shape[1::-1])
            return warp(frame, matrix, CV2_FLAGS[self.resample], self.fill)
        table = self.table(frame)
        if table is not None:
            return cv2.LUT(frame, table)
        return np.asarray(self.apply_pillow(Image.fromarray(frame)))

    def table(self, frame: ndarray) -> ndarray | None:
        """Give the op as a lookup table, ``(256,)`` or ``(1, 256, 3)``, if it is one.

        Contrast, Equalize and AutoContrast depend on the frame: a clip gets one table
        per frame, as in the official code.
        """
        if self.name in FIXED_TABLES:
            return np.asarray(self.apply_pillow(Image.fromarray(IDENTITY[None])))[0]
        if self.name == 'Contrast':
            gray = np.asarray(Image.fromarray(frame).convert('L'))
            mean = Image.new('L', (256, 1), int(gray.mean(dtype=np.float64) + 0.5))
            ramp = Image.fromarray(IDENTITY[None])
            return np.asarray(Image.blend(mean, ramp, *self.args))[0]
        if self.name in ('Equalize', 'AutoContrast'):
            build = equalizing_table if self.name == 'Equalize' else stretching_table
            counts = [
                cv2.calcHist([frame], [i], None, [256], [0, 256]) for i in (0, 1, 2)
            ]
            return np.stack([build(n.ravel().astype(int)) for n in counts], -1)[None]
        return None


def equalizing_table(counts: ndarray) -> ndarray:
    """Give Pillow's table of ``ImageOps.equalize`` for a histogram of 256 bins."""
    full = np.flatnonzero(counts)
    step = (counts.sum() - counts[full[-1]]) // 255
    if len(full) <= 1 or step == 0:
        return IDENTITY
    below = np.cumsum(counts) - counts
    return np.minimum((step // 2 + below) // step, 255).astype(np.uint8)


def stretching_table(counts: ndarray) -> ndarray:
    """Give Pillow's table of ``ImageOps.autocontrast`` for a histogram of 256 bins."""
    full = np.flatnonzero(counts)
    low, high = int(full[0]), int(full[-1])
    if high <= low:
        return IDENTITY
    scale = 255.0 / (high - low)
    return np.clip((IDENTITY * scale - low * scale).astype(int), 0, 255).astype(
        np.uint8
    )


def warp(
    image: ndarray, matrix: ndarray, flags: int, fill: Sequence[float] | float
) -> ndarray:
    """Warp ``(H, W)`` or ``(H, W, C)`` by a matrix of :meth:`Step.matrix`."""
    matrix = matrix.copy()
    # OpenCV's coordinates count from the centre of the first pixel.
    matrix[:, 2] += matrix[:, :2].sum(1) / 2 - 0.5
    return cv2.warpAffine(
        image,
        matrix,
        image.shape[1::-1],
        flags=flags | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )


def apply_steps(
    steps: Sequence[Step], frames: Sequence[ndarray], backend: str = 'cv2'
) -> list[ndarray]:
    """Apply the same steps to every frame; the frames given stay as they are.

    Args:
        steps: of one :meth:`TimmPolicy.draw`.
        frames: ``(H, W, 3)`` uint8, RGB.
        backend: see :meth:`Step.apply`.
    """
    frames = list(frames)
    for step in steps:
        frames = [step.apply(frame, backend) for frame in frames]
    return frames


def replay_geometry(
    steps: Sequence[Step],
    maps: ndarray,
    interpolation: str = 'nearest',
    fill: float = 0.0,
) -> ndarray:
    """Move a label map as the image was moved; colours are left out.

    Args:
        steps: those of the image.
        maps: over the same view as the image, at any resolution.
        interpolation: ``'nearest'`` for indices, ``'bilinear'`` for values.
        fill: value of what comes from outside.

    Shape:
        ``maps`` and the result ``(..., H, W)``, any number type.
    """
    flags = {'nearest': cv2.INTER_NEAREST, 'bilinear': cv2.INTER_LINEAR}[interpolation]
    planes = maps.reshape(-1, *maps.shape[-2:]).astype(np.float32)
    for step in steps:
        if step.is_geometric:
            matrix = step.matrix(*maps.shape[:-3:-1])
            planes = np.stack([warp(plane, matrix, flags, fill) for plane in planes])
    return planes.reshape(maps.shape).astype(maps.dtype)


class TimmPolicy:
    """A string of timm's grammar, such as ``'rand-m7-n4-mstd0.5-inc1'`` or ``'v0'``.

    Args:
        text: ``rand`` with sections ``m`` (magnitude, default 10), ``n`` (ops, 2),
            ``p`` (probability of each, 0.5), ``mstd`` (noise of the magnitude, clipped
            to 0 and ``mmax``, 10), ``inc1`` (levels that increase in strength) and
            ``t`` (set of ops); or an AutoAugment policy, with ``mstd``.
        fill: colour of what comes from outside the image, RGB.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'random'`` of the two per op.

    Raises:
        ValueError: an argument is not as described.

    Source:
        timm ``data/auto_augment.py`` (1.0), equal to the release's timm 0.4.12 and
        PySlowFast copies on every string of the recipes.

    Examples:
        >>> policy = TimmPolicy('rand-m7-n4-mstd0.5-inc1')
        >>> frames = apply_steps(policy.draw(), np.zeros((8, 64, 64, 3), np.uint8))
        >>> len(frames)
        8
    """

    def __init__(
        self,
        text: str,
        fill: Sequence[int] = VIDEO_FILL,
        interpolation: str = 'bicubic',
    ) -> None:
        kind, *sections = text.split('-')
        section = SECTION if kind == 'rand' else AUTO_SECTION
        wrong = [part for part in sections if not section.fullmatch(part)]
        if kind not in ('rand', *AUTO_POLICIES) or wrong:
            raise ValueError(
                f'{text!r} is not an augmentation that timm reads; write such as '
                f"'rand-m9-mstd0.5-inc1', or one of {', '.join(AUTO_POLICIES)}"
            )
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f'interpolation must be one of {", ".join(INTERPOLATIONS)}; '
                f'got {interpolation!r}'
            )
        self.text = text
        resample = INTERPOLATIONS[interpolation]
        hparams = {'img_mean': tuple(fill), 'interpolation': resample}
        if kind == 'rand':
            self.transform = timm_ops.rand_augment_transform(text, hparams)
            ops = self.transform.ops
        else:
            self.transform = timm_ops.auto_augment_transform(text, hparams)
            ops = [op for pair in self.transform.policy for op in pair]
        for op in ops:
            op.aug_fn = partial(_note, op.name)

    def draw(self) -> tuple[Step, ...]:
        """Draw the steps of one image or clip, from Python's and NumPy's generators."""
        return self.transform(())


def _note(
    name: str, steps: tuple[Step, ...], *args: float, fillcolor: Any, resample: Any
) -> tuple[Step, ...]:
    """Take the place of a timm op: append the step in place of changing an image."""
    name = name.removesuffix('Increasing').removesuffix('Original')
    if name not in GEOMETRY:
        return (*steps, Step(name, args, fillcolor))
    if isinstance(resample, tuple):  # timm chooses at this moment, too
        resample = random.choice(resample)
    return (*steps, Step(name, args, fillcolor, resample))
