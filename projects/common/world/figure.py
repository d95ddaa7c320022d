"""A figure: a jointed body in a pose, seen from some side, with COCO's 17 keypoints.

The body is posed in three dimensions and projected without perspective. What tells left
from right is the side one sees: a face in front, hair behind, a nose in profile.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from .thing import LIGHT, Layer

SIDES = ('left', 'right')
JOINTS = ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle')
KEYPOINTS = ('nose', *(f'{side}_{joint}' for joint in JOINTS for side in SIDES))
UNLABELLED, HIDDEN, VISIBLE = 0, 1, 2  # COCO's v


class Part(NamedTuple):
    """A limb: a capsule between two points whose radii may differ.

    Attributes:
        ends: ``(2, 3)``: x, y, and depth towards the viewer.
        radii: at the two ends, in pixels.
        color: ``(3,)``.
        joints: indices of the keypoints that lie on it.
    """

    ends: ndarray
    radii: tuple[float, float]
    color: ndarray
    joints: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A person: what it looks like and where its keypoints are.

    Attributes:
        points: of each keypoint x, y in pixels, and depth towards the viewer.
        shown: whether the keypoint is on the side that one sees.
        parts: limbs, back to front; each keypoint that is shown lies on one.

    Shape:
        ``points`` ``(17, 3)``; ``shown`` ``(17,)`` bool.
    """

    points: ndarray
    shown: ndarray
    parts: tuple[Part, ...]

    def coverage(self, height: int, width: int) -> ndarray:
        """Give the share of each pixel inside the outline, ``(H, W)`` in [0, 1]."""
        clear = np.ones((height, width), np.float32)
        for part in self.parts:
            window, cover = cover_part(part, height, width)
            clear[window] *= 1 - cover
        return 1 - clear

    def layer(self, height: int, width: int) -> Layer:
        """Draw the figure on an image of the given size."""
        alpha = np.zeros((height, width), np.float32)
        color = np.zeros((height, width, 3), np.float32)
        for part in self.parts:
            window, cover = cover_part(part, height, width)
            cover = cover[..., None]
            color[window] += (_lit(part, window) - color[window]) * cover
            alpha[window] += (1 - alpha[window]) * cover[..., 0]
        # Along the outline the colour is mixed with black; alpha alone is to do that.
        edge = (alpha > 0) & (alpha < 1)
        color[edge] /= alpha[edge, None]
        return Layer(alpha, np.minimum(color, 1), np.zeros_like(alpha))

    def area(self) -> float:
        """Give the pixels of the whole outline, as if nothing hid any of it."""
        low, high = self.extent()
        width, height = np.ceil(high - low).astype(int) + 1
        moved = self.moved(-low[0], -low[1])
        return float(moved.coverage(height, width).sum())

    def extent(self) -> tuple[ndarray, ndarray]:
        """Give the lowest and highest x, y that any part reaches."""
        ends = np.stack([part.ends[:, :2] for part in self.parts])
        radii = np.array([part.radii for part in self.parts])[..., None]
        return (ends - radii).min((0, 1)), (ends + radii).max((0, 1))

    def moved(self, right: float, down: float) -> 'Figure':
        """Give the same figure elsewhere, by pixels."""
        step = np.array([right, down, 0.0])
        parts = tuple(part._replace(ends=part.ends + step) for part in self.parts)
        return Figure(self.points + step, self.shown, parts)

    def flags(self) -> ndarray:
        """Give COCO's v of each keypoint for the figure alone.

        A face point on the far side is not labelled, as few people would place it;
        another joint behind a limb is labelled as hidden.
        """
        flags = np.full(len(KEYPOINTS), VISIBLE)
        for index in np.flatnonzero(self.shown):
            point = self.points[index]
            own = [i for i, part in enumerate(self.parts) if index in part.joints]
            front = self.parts[own[-1] + 1 :]
            if any(_hides(part, *point[:2].tolist()) for part in front):
                flags[index] = HIDDEN
        flags[~self.shown] = UNLABELLED
        return flags


def distance(part: Part, x: ndarray | float, y: ndarray | float) -> ndarray:
    """Give the distance to the edge of a part, negative inside, in pixels."""
    (ax, ay), (bx, by) = part.ends[:, :2].tolist()
    dx, dy = bx - ax, by - ay
    squared = dx * dx + dy * dy
    if squared < 1e-6:
        return np.hypot(x - ax, y - ay) - max(part.radii)
    along = np.clip((x - ax) * (dx / squared) + (y - ay) * (dy / squared), 0, 1)
    radius = part.radii[0] + along * (part.radii[1] - part.radii[0])
    return np.hypot(x - ax - along * dx, y - ay - along * dy) - radius


def cover_part(
    part: Part, height: int, width: int
) -> tuple[tuple[slice, slice], ndarray]:
    """Give the window of the image that a part touches, and its coverage there."""
    reach = max(part.radii) + 1
    sides = np.array([width, height])
    ends = part.ends[:, :2]
    left, top = np.clip(np.floor(ends.min(0) - reach), 0, sides).astype(int)
    right, bottom = np.clip(np.ceil(ends.max(0) + reach), 0, sides).astype(int)
    columns = np.arange(left, right, dtype=np.float32) + 0.5
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5
    cover = np.clip(0.5 - distance(part, columns, rows), 0, 1)
    return (slice(top, bottom), slice(left, right)), cover.astype(np.float32)


def _lit(part: Part, window: tuple[slice, slice]) -> ndarray:
    """Colour a part: lighter towards the light, darker at the far edge."""
    x, y = part.ends[:, :2].mean(0)
    rows, columns = (np.arange(s.start, s.stop, dtype=np.float32) for s in window)
    reach = max(*part.radii, 1.0)
    side = (columns + (0.5 - x)) * LIGHT[0] + (rows + (0.5 - y))[:, None] * LIGHT[1]
    shade = 1 + (0.1 / reach) * np.clip(side, -1.5 * reach, 1.5 * reach)
    return (part.color * shade[..., None]).astype(np.float32)


def _hides(part: Part, x: float, y: float) -> bool:
    reach = max(part.radii)
    ends = part.ends[:, 0]
    near = ends.min() - reach < x < ends.max() + reach
    return bool(near and distance(part, x, y) < 0)
