"""A landscape for the things to stand in: sky above, meadow, water or sand below.

Regions that every pixel belongs to, where a scene's background belongs to no class.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .scene import MIN_AREA, Scene, Size, picture_rng, render, sample_size
from .texture import colorize, hsv_to_bgr, stretch, value_noise, wave
from .thing import CLASSES, Thing, sample_thing

# The hue a class tends to, in degrees; one region or thing in twenty takes any.
HUES = MappingProxyType({'ring': 262.0, 'box': 8.0, 'triangle': 150.0, 'star': 318.0})
HUE_SPREAD = 12.0
ODD_COLOR_RATE = 0.05
THINGS = (2, 3)
DIAMETERS = (0.3, 0.8)  # shares of the image's shorter side
HORIZON = (0.25, 0.55)  # share of the height above it
WAVINESS = 0.35  # of borders, in heights


@dataclass(frozen=True)
class Land:
    """How a kind of region looks.

    Args:
        hue: that it tends to, in degrees.
        saturation: range.
        value: range.
        field: draws its texture, ``(H, W)`` in [0, 1], from height and width.
    """

    hue: float
    saturation: tuple[float, float]
    value: tuple[float, float]
    field: Callable[[Generator, int, int], ndarray]


def _clouds(rng: Generator, height: int, width: int) -> ndarray:
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    return stretch(rows + 0.8 * value_noise(rng, height, width, rng.uniform(2, 4)))


def _blades(rng: Generator, height: int, width: int) -> ndarray:
    return value_noise(rng, height, width, rng.uniform(18, 30), octaves=2)


def _ripples(rng: Generator, height: int, width: int) -> ndarray:
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    bend = value_noise(rng, height, width, 3, octaves=2)
    return wave(2 * np.pi * (rng.uniform(8, 14) * rows + 1.5 * bend), 0.8)


def _dunes(rng: Generator, height: int, width: int) -> ndarray:
    fine = value_noise(rng, height, width, 40, octaves=1)
    return stretch(value_noise(rng, height, width, 3, octaves=2) + 0.4 * fine)


LANDS = MappingProxyType(
    {
        'sky': Land(205.0, (0.15, 0.4), (0.75, 0.95), _clouds),
        'meadow': Land(95.0, (0.35, 0.55), (0.4, 0.65), _blades),
        'water': Land(200.0, (0.4, 0.6), (0.35, 0.6), _ripples),
        'sand': Land(42.0, (0.2, 0.4), (0.7, 0.9), _dunes),
    }
)
LANDSCAPE_CLASSES = (*LANDS, *CLASSES)


def _sample_hue(rng: Generator, usual: float) -> float:
    odd = rng.random() < ODD_COLOR_RATE
    return float((rng.uniform(0, 360) if odd else rng.normal(usual, HUE_SPREAD)) % 360)


def draw_land(rng: Generator, name: str, height: int, width: int) -> ndarray:
    """Draw one kind of region over a whole image, ``(H, W, 3)`` float32, BGR."""
    land = LANDS[name]
    hue = _sample_hue(rng, land.hue)
    saturation, value = rng.uniform(*land.saturation), rng.uniform(*land.value)
    colors = [
        hsv_to_bgr(hue + 12 * step, saturation, float(np.clip(value + step, 0.1, 1)))
        for step in (-0.09, 0.09)
    ]
    return colorize(land.field(rng, height, width), colors)


def draw_landscape(rng: Generator, height: int, width: int) -> tuple[ndarray, ndarray]:
    """Draw sky over one or two kinds of ground.

    Shape:
        Image ``(H, W, 3)`` float32 in [0, 1], BGR; labels ``(H, W)`` uint8, indices of
        ``LANDSCAPE_CLASSES``.
    """
    rows, columns = np.indices((height, width), np.float32)
    rows, columns = rows / height, columns / width

    def bend() -> ndarray:
        return WAVINESS * (value_noise(rng, height, width, 2, octaves=2) - 0.5)

    kinds = [str(name) for name in rng.permutation(list(LANDS)[1:])]
    across = 2 * np.pi * rng.random()
    side = np.cos(across) * (columns - 0.5) + np.sin(across) * (rows - 0.75) + bend()
    regions = {kinds[0]: np.ones((height, width), bool), kinds[1]: side > 0}
    if rng.random() < 0.3:
        del regions[kinds[1]]
    regions['sky'] = rows + bend() < rng.uniform(*HORIZON)
    image = np.zeros((height, width, 3), np.float32)
    labels = np.zeros((height, width), np.uint8)
    for name, mask in regions.items():
        image[mask] = draw_land(rng, name, height, width)[mask]
        labels[mask] = LANDSCAPE_CLASSES.index(name)
    return image, labels


def sample_things(rng: Generator, height: int, width: int) -> tuple[Thing, ...]:
    """Draw large things, back to front; they may hide one another."""
    things = []
    for _ in range(rng.integers(*THINGS, endpoint=True)):
        diameter = rng.uniform(*DIAMETERS)
        thing = sample_thing(rng, height, width, diameter, MIN_AREA)
        hue = _sample_hue(rng, HUES[thing.category])
        things.append(replace(thing, hue=hue))
    return tuple(things)


def draw_labelled(
    seed: int, split: str, index: int, size: Size
) -> tuple[ndarray, ndarray]:
    """Draw one picture with the class of every pixel.

    Args:
        seed: of the world.
        split: one of ``scene.SPLITS``.
        index: of the picture in its split, from 0.
        size: side of a square, or the (min, max) from which each side is drawn.

    Shape:
        Image ``(H, W, 3)`` uint8, BGR; labels ``(H, W)`` uint8, indices of
        ``LANDSCAPE_CLASSES``.

    Raises:
        ValueError: the split is unknown, a number is negative, or the size too small.

    Examples:
        >>> image, labels = draw_labelled(seed=0, split='train', index=0, size=96)
        >>> image.shape, labels.shape
        ((96, 96, 3), (96, 96))
    """
    # A stream of its own: not the things of the other worlds.
    rng = picture_rng(seed, split, index).spawn(2)[1]
    height, width = sample_size(rng, size)
    background, labels = draw_landscape(rng, height, width)
    scene = Scene(background, sample_things(rng, height, width))
    picture = render(scene, noise=rng)
    for thing, mask in zip(picture.things, picture.masks(), strict=True):
        labels[mask] = LANDSCAPE_CLASSES.index(thing.category)
    return picture.image, labels
