"""One object of the world: its outline, its colours and how it covers the image.

A thing is plain numbers, so that a clip is the same thing with its centre, angle or
radius replaced from frame to frame.
"""

from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .texture import FILLS, colorize, draw_fill, hsv_to_bgr

CLASSES = ('ring', 'box', 'triangle', 'star')
# The colour a class tends to, in degrees of hue. A tendency, not a label: one thing in
# five takes any colour, and the spread below lets neighbours overlap.
HUES = MappingProxyType({'ring': 212.0, 'box': 22.0, 'triangle': 138.0, 'star': 318.0})
HUE_SPREAD = 20.0
ODD_COLOR_RATE = 0.2
SUPERSAMPLING = 4
LIGHT = (-0.55, -0.83)  # towards the light, in (x, y): from above, a little left
SHADOW = 0.4


@dataclass(frozen=True)
class Layer:
    """What one object lays over the picture.

    Shape:
        ``alpha``: ``(H, W)`` float32, share of each pixel covered. ``color``:
        ``(H, W, 3)`` float32 in [0, 1], BGR. ``shadow``: ``(H, W)`` float32, share of
        the light taken from what lies beneath.
    """

    alpha: ndarray
    color: ndarray
    shadow: ndarray


@dataclass(frozen=True)
class Thing:
    """An object: a class of outline, where it is, and how it looks.

    Args:
        category: one of ``CLASSES``.
        center: (x, y) in pixels; pixel i spans [i, i + 1].
        radius: of the circumscribed circle, in pixels.
        angle: clockwise turn, in radians.
        aspect: short side over long side of a box, in (0, 1]; others ignore it.
        hue: degrees.
        saturation: in [0, 1].
        value: in [0, 1].
        fill: one of ``texture.FILLS``.
        frequency: repeats of the fill over one radius.
        seed: of the fill's noise.

    Raises:
        ValueError: the category is unknown or the radius is not positive.
    """

    category: str
    center: tuple[float, float]
    radius: float
    angle: float = 0.0
    aspect: float = 1.0
    hue: float = 0.0
    saturation: float = 0.8
    value: float = 0.9
    fill: str = 'plain'
    frequency: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what a drawing cannot show."""
        if self.category not in CLASSES:
            raise ValueError(
                f'unknown category {self.category!r}; choose from {CLASSES}'
            )
        if not self.radius > 0:
            raise ValueError(f'radius must be positive, got {self.radius}')

    def outline(self) -> list[ndarray]:
        """Trace the outline in image coordinates; a second contour is a hole.

        Shape:
            List of ``(N, 2)`` float64, (x, y) in pixels.
        """
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[cos, sin], [-sin, cos]])
        unit = unit_outline(self.category, self.aspect)
        return [part @ turn * self.radius + self.center for part in unit]

    def area(self) -> float:
        """Give the area of the whole outline, hidden parts included, in pixels."""
        outer, *holes = (
            cv2.contourArea(part.astype(np.float32)) for part in self.outline()
        )
        return outer - sum(holes)

    def coverage(self, height: int, width: int) -> ndarray:
        """Give the share of each pixel inside the outline, ``(H, W)`` in [0, 1]."""
        factor, bits = SUPERSAMPLING, 4
        canvas = np.zeros((height * factor, width * factor), np.uint8)
        # OpenCV's integer coordinates are pixel centres: the half moves ours there.
        contours = [
            np.round((part * factor - 0.5) * 2**bits).astype(np.int32)
            for part in self.outline()
        ]
        cv2.fillPoly(canvas, contours, 255, shift=bits)
        small = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        return small.astype(np.float32) / 255

    def layer(self, height: int, width: int) -> Layer:
        """Draw the object: fill, shading and shadow on an image of the given size."""
        alpha = self.coverage(height, width)
        rows, columns = np.indices((height, width), np.float32) + 0.5
        x = (columns - self.center[0]) / self.radius
        y = (rows - self.center[1]) / self.radius
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        u, v = x * cos + y * sin, y * cos - x * sin
        field = draw_fill(self.fill, u, v, self.frequency, self.seed)
        dark = hsv_to_bgr(
            self.hue - 10, min(self.saturation * 1.1, 1), max(self.value - 0.2, 0)
        )
        bright = hsv_to_bgr(self.hue + 8, self.saturation * 0.72, self.value)
        color = colorize(field, (dark, bright))

        # A bevel: the edge towards the light is lit, the one away from it is dark.
        soft = cv2.GaussianBlur(alpha, (0, 0), max(self.radius * 0.09, 0.8))
        slope_x = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=self.radius / 8)
        slope_y = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=self.radius / 8)
        bevel = -(slope_x * LIGHT[0] + slope_y * LIGHT[1])
        shade = 1 + 0.16 * np.clip(bevel, -2, 2) + 0.12 * (x * LIGHT[0] + y * LIGHT[1])
        color = np.clip(color * shade[..., None], 0, 1)

        reach = max(self.radius * 0.1, 1.0)
        shift = np.float32([[1, 0, -reach * LIGHT[0]], [0, 1, -reach * LIGHT[1]]])
        cast = cv2.warpAffine(alpha, shift, (width, height))
        shadow = SHADOW * cv2.GaussianBlur(cast, (0, 0), reach)
        return Layer(alpha, color, shadow)


def unit_outline(category: str, aspect: float = 1.0) -> list[ndarray]:
    """Give a class's outline inside the unit circle; a second contour is a hole.

    Shape:
        List of ``(N, 2)`` float64.

    Examples:
        >>> [part.shape for part in unit_outline('ring')]
        [(64, 2), (64, 2)]
    """
    if category == 'ring':
        circle = _on_circle(64)
        return [circle, circle * 0.45]
    if category == 'box':
        corners = np.array([[-1, -aspect], [1, -aspect], [1, aspect], [-1, aspect]])
        return [_round_corners(corners / np.hypot(1, aspect), 0.1)]
    if category == 'triangle':
        return [_round_corners(_on_circle(3), 0.1)]
    if category == 'star':
        points = _on_circle(10)
        points[1::2] *= 0.5
        return [_round_corners(points, 0.12)]
    raise ValueError(f'unknown category {category!r}; choose from {CLASSES}')


def sample_thing(
    rng: Generator, height: int, width: int, diameter: float, min_area: float
) -> Thing:
    """Draw a random object that lies mostly inside the image.

    Args:
        rng: source of every choice.
        height: of the image, in pixels.
        width: of the image, in pixels.
        diameter: of the circumscribed circle, as a share of the shorter side.
        min_area: a smaller outline is enlarged to this many pixels.
    """
    category = CLASSES[rng.integers(len(CLASSES))]
    odd = rng.random() < ODD_COLOR_RATE
    hue = rng.uniform(0, 360) if odd else rng.normal(HUES[category], HUE_SPREAD)
    aspect = rng.uniform(0.6, 1)
    unit_area = Thing(category, (0.0, 0.0), 1.0, aspect=aspect).area()
    radius = max(diameter * min(height, width) / 2, np.sqrt(min_area / unit_area))
    # The centre keeps 0.6 radii from the border: some objects are cut by the frame.
    margin = min(0.6 * radius, 0.45 * min(height, width))
    x, y = (rng.uniform(margin, side - margin) for side in (width, height))
    return Thing(
        category=category,
        center=(x, y),
        radius=float(radius),
        angle=rng.uniform(0, 2 * np.pi),
        aspect=aspect,
        hue=float(hue % 360),
        saturation=rng.uniform(0.55, 0.85),
        value=rng.uniform(0.7, 0.98),
        fill=FILLS[rng.integers(len(FILLS))],
        frequency=rng.uniform(1.4, 2.6),
        seed=int(rng.integers(2**31)),
    )


def _on_circle(count: int) -> ndarray:
    """Points on the unit circle, the first at the top."""
    turn = np.arange(count) * 2 * np.pi / count
    return np.stack([np.sin(turn), -np.cos(turn)], 1)


def _round_corners(points: ndarray, amount: float, steps: int = 5) -> ndarray:
    """Replace each corner by a quadratic curve between points on its two edges."""
    before = points + (np.roll(points, 1, 0) - points) * amount * 2
    after = points + (np.roll(points, -1, 0) - points) * amount * 2
    t = np.linspace(0, 1, steps)[None, :, None]
    curve = (1 - t) ** 2 * before[:, None] + t**2 * after[:, None]
    return (curve + 2 * t * (1 - t) * points[:, None]).reshape(-1, 2)
