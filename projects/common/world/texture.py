"""Procedural textures: scalar fields in [0, 1] and the colours laid over them.

A background is a field over the image. The fill of an object is a field over the
object's own coordinates, so that it moves, turns and grows with the object.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy import ndarray
from numpy.random import Generator

FILLS = ('plain', 'stripes', 'checker', 'dots', 'noise')


def hsv_to_bgr(hue: float, saturation: float, value: float) -> ndarray:
    """Convert one colour.

    Args:
        hue: degrees, any range.
        saturation: in [0, 1].
        value: in [0, 1].

    Shape:
        Returns ``(3,)`` float32 in [0, 1], blue first.
    """
    pixel = np.array([[[hue % 360, saturation, value]]], np.float32)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]


def colorize(field: ndarray, colors: Sequence[ndarray]) -> ndarray:
    """Map a field through a ramp of equally spaced colours.

    Shape:
        Field ``(H, W)`` in [0, 1]; colours ``(3,)``; returns ``(H, W, 3)`` float32.
    """
    stops = np.linspace(0, 1, len(colors))
    ramp = np.stack(colors, 1)  # (3, stops)
    channels = [np.interp(field, stops, row) for row in ramp]
    return np.stack(channels, -1).astype(np.float32)


def stretch(field: ndarray) -> ndarray:
    """Scale a field to span [0, 1]; a constant one becomes 0."""
    low, high = float(field.min()), float(field.max())
    return ((field - low) / max(high - low, 1e-6)).astype(np.float32)


def value_noise(
    rng: Generator, height: int, width: int, cells: float, octaves: int = 4
) -> ndarray:
    """Draw fractal value noise: random grids, each twice as fine and half as strong.

    Args:
        rng: source of the grids.
        height: rows.
        width: columns.
        cells: cells of the coarsest grid along the longer side.
        octaves: number of grids.

    Shape:
        Returns ``(height, width)`` float32 spanning [0, 1].
    """
    total = np.zeros((height, width), np.float32)
    longer = max(height, width)
    for octave in range(octaves):
        step = longer / (cells * 2**octave)
        shape = [int(np.ceil(side / step)) + 2 for side in (height, width)]
        grid = rng.random(shape, dtype=np.float32)
        rows, columns = np.indices((height, width), np.float32)
        offset = rng.random(2)
        x, y = columns / step + offset[0], rows / step + offset[1]
        layer = cv2.remap(
            grid,
            x.astype(np.float32),
            y.astype(np.float32),
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        total += layer * 0.5**octave
    return stretch(total)


def wave(phase: ndarray, sharpness: float) -> ndarray:
    """Draw bands from soft (sharpness 0.5) to hard (5); the phase is in radians."""
    return 0.5 + 0.5 * np.tanh(sharpness * np.sin(phase))


def _turned_grid(rng: Generator, height: int, width: int) -> tuple[ndarray, ndarray]:
    """Coordinates in units of the longer side, turned by a random angle."""
    rows, columns = np.indices((height, width), np.float32) / max(height, width)
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(angle), np.sin(angle)
    return columns * cos + rows * sin, rows * cos - columns * sin


def _clouds(rng: Generator, height: int, width: int) -> ndarray:
    return value_noise(rng, height, width, rng.uniform(2, 5))


def _grain(rng: Generator, height: int, width: int) -> ndarray:
    along, across = _turned_grid(rng, height, width)
    bend = value_noise(rng, height, width, 2, octaves=2)
    rings = along * rng.uniform(4, 8) + bend * rng.uniform(1, 2) + across
    fine = value_noise(rng, height, width, 40, octaves=2)
    return stretch(wave(2 * np.pi * rings, 0.8) + 0.35 * fine)


def _stripes(rng: Generator, height: int, width: int) -> ndarray:
    along, _ = _turned_grid(rng, height, width)
    phase = 2 * np.pi * (along * rng.uniform(5, 14) + rng.random())
    return wave(phase, rng.uniform(0.8, 4))


def _gradient(rng: Generator, height: int, width: int) -> ndarray:
    along, across = _turned_grid(rng, height, width)
    bump = np.hypot(along - rng.uniform(-0.5, 0.5), across - rng.uniform(-0.5, 0.5))
    soft = value_noise(rng, height, width, 2, octaves=2)
    return stretch(along * rng.uniform(0.4, 1) + bump + 0.35 * soft)


def _tiles(rng: Generator, height: int, width: int) -> ndarray:
    along, across = _turned_grid(rng, height, width)
    count = rng.uniform(4, 9)
    columns, rows = np.floor(along * count), np.floor(across * count)
    # A fixed hash of the tile's place: each tile has its own tone.
    tone = np.modf(np.abs(np.sin(columns * 12.9898 + rows * 78.233) * 43758.5))[0]
    # Distance to the nearest joint, in tiles; the ramp is about a pixel wide.
    gaps = [np.abs(axis - np.round(axis)) for axis in (along * count, across * count)]
    inside = np.clip((np.minimum(*gaps) - 0.02) * max(height, width) / count, 0, 1)
    return (inside * (0.3 + 0.7 * tone)).astype(np.float32)


BACKGROUNDS = (_clouds, _grain, _stripes, _gradient, _tiles)


def draw_background(rng: Generator, height: int, width: int) -> ndarray:
    """Draw a muted backdrop of one of the kinds in ``BACKGROUNDS``.

    Shape:
        Returns ``(height, width, 3)`` float32 in [0, 1], BGR.
    """
    field = BACKGROUNDS[rng.integers(len(BACKGROUNDS))](rng, height, width)
    hue, saturation = rng.uniform(0, 360), rng.uniform(0.06, 0.32)
    value, contrast = rng.uniform(0.4, 0.85), rng.uniform(0.12, 0.26)
    colors = [
        hsv_to_bgr(
            hue + step * rng.uniform(0, 35),
            saturation * rng.uniform(0.7, 1.3),
            np.clip(value + step * contrast, 0.12, 0.97),
        )
        for step in (-0.5, 0.0, 0.5)
    ]
    image = colorize(field, colors)
    light = value_noise(rng, height, width, 1.5, octaves=1)
    return np.clip(image * (0.9 + 0.2 * light[..., None]), 0, 1)


def draw_fill(
    kind: str, u: ndarray, v: ndarray, frequency: float, seed: int
) -> ndarray:
    """Draw the fill of an object over its own coordinates.

    Args:
        kind: one of ``FILLS``.
        u: first object coordinate, in [-1, 1] inside the object.
        v: second object coordinate.
        frequency: repeats over one radius.
        seed: of the noise grid.

    Shape:
        ``u``, ``v`` ``(H, W)``; returns ``(H, W)`` float32 in [0, 1].

    Raises:
        ValueError: ``kind`` is not one of ``FILLS``.
    """
    x, y = u * frequency, v * frequency
    if kind == 'plain':
        return np.full(u.shape, 0.5, np.float32)
    if kind == 'stripes':
        return wave(2 * np.pi * x, 3)
    if kind == 'checker':
        across, down = wave(np.pi * x, 4), wave(np.pi * y, 4)
        return across * down + (1 - across) * (1 - down)
    if kind == 'dots':
        distance = np.hypot(x - np.round(x), y - np.round(y))
        return np.clip((0.34 - distance) * 8 + 0.5, 0, 1)
    if kind == 'noise':
        grid = np.random.default_rng(seed).random((16, 16), dtype=np.float32)
        x, y = (2 * x + 8).astype(np.float32), (2 * y + 8).astype(np.float32)
        noise = cv2.remap(grid, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return np.clip(noise, 0, 1)
    raise ValueError(f'unknown fill {kind!r}; choose from {FILLS}')
