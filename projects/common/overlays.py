"""Predictions drawn over what they were made from, beyond boxes and masks.

Images are ``(H, W, 3)`` uint8 in OpenCV's BGR order throughout.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy import ndarray

from projects.common.pictures import FONT, INK, PAPER, class_color, enlarge

MIN_SIDE = 480
SHOWN_SHARE = 0.005  # a class that covers less than this gets no line in the legend


def draw_segments(image: ndarray, labels: ndarray, names: Sequence[str]) -> ndarray:
    """Colour the pixels by class and list the classes seen, largest first.

    Args:
        image: what was looked at.
        labels: class of each pixel.
        names: name of each class.

    Shape:
        ``image`` ``(H, W, 3)`` uint8; ``labels`` ``(H, W)`` integers; returns
        ``(h, w, 3)`` uint8.
    """
    seen, counts = np.unique(labels, return_counts=True)
    colors = np.zeros((int(seen.max()) + 1, 3), np.uint8)
    for label in seen:
        colors[label] = class_color(int(label))
    canvas = enlarge(image, MIN_SIDE)
    size = canvas.shape[1::-1]
    paint = cv2.resize(colors[labels], size, interpolation=cv2.INTER_NEAREST)
    canvas = cv2.addWeighted(canvas, 0.5, paint, 0.5, 0)
    order = [i for i in np.argsort(-counts) if counts[i] >= SHOWN_SHARE * labels.size]
    lines = [f'{names[seen[i]]} {counts[i] / labels.size:.0%}' for i in order]
    return write_lines(canvas, lines, [class_color(int(seen[i])) for i in order])


def draw_poses(
    image: ndarray,
    keypoints: ndarray,
    scores: ndarray,
    meta: Mapping[str, Any],
    threshold: float,
) -> ndarray:
    """Draw keypoints and the links between those that are sure enough.

    Args:
        image: what was looked at.
        keypoints: x, y in pixels of ``image``.
        scores: of each keypoint.
        meta: ``skeleton_links``, pairs of keypoints, if there are any.
        threshold: lowest score drawn.

    Shape:
        ``keypoints`` ``(N, K, 2)``; ``scores`` ``(N, K)``; returns ``(h, w, 3)``.
    """
    canvas = enlarge(image, MIN_SIDE)
    points = keypoints * canvas.shape[1] / image.shape[1]
    stroke = max(1, round(min(canvas.shape[:2]) / 240))
    for number, (person, sure) in enumerate(zip(points, scores, strict=True)):
        color = class_color(number)
        places = [tuple(round(float(v)) for v in point) for point in person]
        for start, end in meta.get('skeleton_links') or ():
            if min(sure[start], sure[end]) >= threshold:
                ends = places[start], places[end]
                cv2.line(canvas, *ends, color, stroke, cv2.LINE_AA)
        for place, score in zip(places, sure, strict=True):
            if score >= threshold:
                cv2.circle(canvas, place, 2 * stroke, color, cv2.FILLED, cv2.LINE_AA)
                cv2.circle(canvas, place, 2 * stroke, PAPER, 1, cv2.LINE_AA)
    return canvas


def draw_scores(image: ndarray, ranking: Sequence[tuple[str, float]]) -> ndarray:
    """Write class names with their scores over an enlarged copy of an image."""
    lines = [f'{name} {score:.2f}' for name, score in ranking]
    return write_lines(enlarge(image, MIN_SIDE), lines)


def frame_strip(
    frames: Sequence[ndarray], columns: int = 4, height: int = 240
) -> ndarray:
    """Set the frames of a clip beside one another, in rows, first at the top left."""
    width = max(1, round(height * frames[0].shape[1] / frames[0].shape[0]))
    cells = [cv2.resize(frame, (width, height)) for frame in frames]
    columns = min(columns, len(cells))
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    return np.vstack([np.hstack(row) for row in rows])


def write_lines(
    image: ndarray,
    lines: Sequence[str],
    colors: Sequence[tuple[int, int, int]] | None = None,
) -> ndarray:
    """Write lines on paper at the top left, in place, as many as fit."""
    scale = min(image.shape[:2]) / 960
    step = max(12, round(44 * scale))
    for i, line in enumerate(lines[: image.shape[0] // step]):
        (width, _), _ = cv2.getTextSize(line, FONT, scale, 1)
        top = i * step
        cv2.rectangle(image, (0, top), (width + step, top + step), PAPER, cv2.FILLED)
        if colors is not None:
            box = (2, top + 2), (step - 4, top + step - 3)
            cv2.rectangle(image, *box, colors[i], cv2.FILLED)
        place = (step if colors is not None else step // 3, top + step * 3 // 4)
        cv2.putText(image, line, place, FONT, scale, INK, 1, cv2.LINE_AA)
    return image
