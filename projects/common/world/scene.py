"""A scene: a background and the objects on it, and the picture rendered from them.

Every picture is a function of (seed, split, index) alone, so that a longer dataset
starts with the same images. Layers know nothing of classes: whatever gives a ``Layer``
(a thing, a limb of a figure) can be composited and gets an exact mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .texture import draw_background
from .thing import Layer, Thing, sample_thing

# Raise it with any change that moves a pixel: cached worlds are then made anew.
WORLD_VERSION = 1
SPLITS = ('train', 'val', 'test')
DEFAULT_SIZE = (144, 192)
SMALLEST_SIDE = 64
# Range of the diameter as a share of the image's shorter side, and how often. At the
# default size all three of COCO's areas occur: < 32^2, < 96^2 and, seldom, above.
SIZES = (((0.16, 0.24), 0.28), ((0.28, 0.5), 0.5), ((0.55, 0.9), 0.22))
MAX_THINGS = 4
MIN_VISIBLE = 0.35  # of the whole outline
MIN_AREA = 60  # visible pixels
NEIGHBOR_RATE = 0.45  # how often a thing is placed beside an earlier one
ATTEMPTS = 12

Size = int | tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """A background and the things on it, back to front.

    Shape:
        ``background``: ``(H, W, 3)`` float32 in [0, 1], BGR.
    """

    background: ndarray
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Picture:
    """A rendered scene with its exact labels.

    Shape:
        ``image``: ``(H, W, 3)`` uint8, BGR. ``labels``: ``(H, W)`` uint8, 0 where the
        background shows and k where the k-th thing does, counted from 1.
    """

    image: ndarray
    labels: ndarray
    things: tuple[Thing, ...]

    def masks(self) -> ndarray:
        """Give the visible mask of each thing, ``(N, H, W)`` bool."""
        return self.labels == np.arange(1, len(self.things) + 1)[:, None, None]

    def boxes(self) -> ndarray:
        """Give the extents of the masks, ``(N, 4)`` int64, as ``mask_box`` does."""
        return np.array([mask_box(mask) for mask in self.masks()]).reshape(-1, 4)


def mask_box(mask: ndarray) -> tuple[int, int, int, int]:
    """Give the extent (x1, y1, x2, y2) of a non-empty mask, end-exclusive.

    Examples:
        >>> mask_box(np.eye(3, 5, k=1) > 0)
        (1, 0, 4, 3)
    """
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def picture_rng(seed: int, split: str, index: int) -> Generator:
    """Give the generator of one picture, independent of all others.

    Raises:
        ValueError: the split is unknown, or the seed or index is negative.
    """
    if split not in SPLITS:
        raise ValueError(f'unknown split {split!r}; choose from {SPLITS}')
    if seed < 0 or index < 0:
        raise ValueError(f'seed and index must be >= 0, got {seed} and {index}')
    return np.random.default_rng([seed, SPLITS.index(split), index])


def sample_size(rng: Generator, size: Size) -> tuple[int, int]:
    """Draw (height, width): a square of side ``size``, or each side from a range.

    Raises:
        ValueError: ``size`` is not an integer or an increasing pair, or is too small.
    """
    low, high = (size, size) if isinstance(size, int) else size
    if not SMALLEST_SIDE <= low <= high:
        raise ValueError(
            f'size must be a side or a (min, max) pair of sides >= {SMALLEST_SIDE}, '
            f'got {size}'
        )
    height, width = rng.integers(low, high, size=2, endpoint=True)
    return int(height), int(width)


def label_pixels(coverages: Sequence[ndarray]) -> ndarray:
    """Give each pixel to the layer that shows most in it; 0 is the background.

    Args:
        coverages: share of each pixel covered, one ``(H, W)`` per layer, back to front.
            At least one.
    """
    shown = [np.ones_like(coverages[0])]
    for alpha in coverages:
        shown = [part * (1 - alpha) for part in shown]
        shown.append(alpha)
    return np.argmax(np.stack(shown), 0).astype(np.uint8)


def composite(background: ndarray, layers: Sequence[Layer]) -> ndarray:
    """Lay the layers over the background, back to front.

    Shape:
        Background and result ``(H, W, 3)`` float32 in [0, 1].
    """
    image = background
    for layer in layers:
        alpha = layer.alpha[..., None]
        image = image * (1 - layer.shadow[..., None]) * (1 - alpha)
        image = image + layer.color * alpha
    return image


def sample_scene(
    rng: Generator, height: int, width: int, max_things: int = MAX_THINGS
) -> Scene:
    """Draw a background and 1 to ``max_things`` things, each visible enough to label.

    A thing that would hide too much of another, or be hidden too much itself, is drawn
    again, so that everything in the picture is annotated.
    """
    background = draw_background(rng, height, width)
    wanted = int(rng.integers(1, max_things, endpoint=True))
    things: list[Thing] = []
    coverages: list[ndarray] = []
    for _ in range(ATTEMPTS * wanted):
        if len(things) == wanted:
            break
        thing = _sample_place(rng, height, width, things)
        depth = int(rng.integers(len(things), endpoint=True))
        coverage = thing.coverage(height, width)
        trial = [*things[:depth], thing, *things[depth:]]
        covers = [*coverages[:depth], coverage, *coverages[depth:]]
        if _all_visible(trial, covers):
            things, coverages = trial, covers
    return Scene(background, tuple(things))


def render(scene: Scene, noise: Generator | None = None) -> Picture:
    """Render a scene.

    Args:
        scene: what to draw.
        noise: source of the sensor noise; None leaves the picture clean.
    """
    height, width = scene.background.shape[:2]
    layers = [thing.layer(height, width) for thing in scene.things]
    image = composite(scene.background, layers)
    if noise is not None:
        image = image + noise.normal(0, 0.012, image.shape).astype(np.float32)
    image = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    labels = label_pixels([layer.alpha for layer in layers])
    return Picture(image, labels, scene.things)


def draw_scene(seed: int, split: str, index: int, size: Size = DEFAULT_SIZE) -> Picture:
    """Draw one picture of the world.

    Args:
        seed: of the world.
        split: one of ``SPLITS``.
        index: of the picture in its split, from 0.
        size: side of a square, or the (min, max) from which each side is drawn.

    Raises:
        ValueError: the split is unknown, a number is negative, or the size too small.

    Examples:
        >>> picture = draw_scene(seed=0, split='train', index=0, size=96)
        >>> picture.image.shape, picture.labels.shape
        ((96, 96, 3), (96, 96))
    """
    rng = picture_rng(seed, split, index)
    height, width = sample_size(rng, size)
    return render(sample_scene(rng, height, width), noise=rng)


def _sample_place(
    rng: Generator, height: int, width: int, others: Sequence[Thing]
) -> Thing:
    """Draw a thing of a random size, often close to one that is already there."""
    ranges, weights = zip(*SIZES, strict=True)
    low, high = ranges[rng.choice(len(ranges), p=weights)]
    diameter = rng.uniform(low, high)
    thing = sample_thing(rng, height, width, diameter, 1.5 * MIN_AREA)
    if not others or rng.random() >= NEIGHBOR_RATE:
        return thing
    other = others[rng.integers(len(others))]
    turn = rng.uniform(0, 2 * np.pi)
    reach = rng.uniform(0.5, 0.95) * (thing.radius + other.radius)
    x = other.center[0] + reach * np.cos(turn)
    y = other.center[1] + reach * np.sin(turn)
    inside = 0 < x < width and 0 < y < height
    return replace(thing, center=(x, y)) if inside else thing


def _all_visible(things: Sequence[Thing], coverages: Sequence[ndarray]) -> bool:
    counts = np.bincount(label_pixels(coverages).ravel(), minlength=len(things) + 1)
    return all(
        count >= max(MIN_AREA, MIN_VISIBLE * thing.area())
        for thing, count in zip(things, counts[1:], strict=True)
    )
