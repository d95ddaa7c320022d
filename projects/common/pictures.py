"""The pictures of a run: predictions beside the truth, and contact sheets.

Images are ``(H, W, 3)`` uint8 in OpenCV's BGR order throughout.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy import ndarray

from .curve import loss_curve

__all__ = [
    'class_color',
    'contact_sheet',
    'draw_instances',
    'enlarge',
    'loss_curve',
    'side_by_side',
    'write_png',
]

PAPER = (255, 255, 255)
INK = (48, 40, 36)
FONT = cv2.FONT_HERSHEY_SIMPLEX
GOLDEN_ANGLE = 137.508  # degrees of hue between neighbours: no two classes look alike


def write_png(path: Path, image: ndarray) -> None:
    """Write a picture; unlike ``cv2.imwrite``, a full disk raises OSError."""
    _, data = cv2.imencode('.png', image)
    path.write_bytes(data.tobytes())


def class_color(label: int) -> tuple[int, int, int]:
    """Give the colour of a class, BGR; neighbouring labels differ strongly."""
    hue = (210 + label * GOLDEN_ANGLE) % 360
    pixel = np.array([[[hue, 0.78, 0.88]]], np.float32)
    blue, green, red = (cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0] * 255).astype(int)
    return int(blue), int(green), int(red)


def enlarge(image: ndarray, min_side: int) -> ndarray:
    """Enlarge an image, or a bool mask, until its shorter side is ``min_side`` px."""
    factor = max(min_side / min(image.shape[:2]), 1.0)
    size = round(image.shape[1] * factor), round(image.shape[0] * factor)
    if image.dtype == bool:
        soft = cv2.resize(
            image.astype(np.float32), size, interpolation=cv2.INTER_LINEAR
        )
        if factor > 1:  # round the steps that the small pixels would leave
            soft = cv2.GaussianBlur(soft, (0, 0), 0.6 * factor)
        return soft > 0.5
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)


def draw_instances(
    image: ndarray,
    boxes: ndarray,
    labels: Sequence[int],
    class_names: Sequence[str],
    masks: ndarray | None = None,
    scores: Sequence[float] | None = None,
    min_side: int = 480,
) -> ndarray:
    """Draw boxes, masks, class names and scores over an enlarged copy of an image.

    Args:
        image: what was looked at.
        boxes: x1, y1, x2, y2 in pixels of ``image``.
        labels: index of each box's class.
        class_names: name of each class.
        masks: of the same objects.
        scores: in [0, 1]; None writes the class alone, as for the truth.
        min_side: shorter side of the result, in pixels; never smaller than the image.

    Shape:
        ``image`` ``(H, W, 3)`` uint8; ``boxes`` ``(N, 4)``; ``masks`` ``(N, H, W)``
        bool; returns ``(h, w, 3)`` uint8.

    Raises:
        ValueError: the numbers of boxes, labels, masks and scores differ.
    """
    lengths = {len(part) for part in (boxes, labels, masks, scores) if part is not None}
    if len(lengths) > 1:
        raise ValueError(
            'boxes, labels, masks and scores must be equally many, got '
            f'{sorted(lengths)}'
        )
    canvas = enlarge(image, min_side)
    ratio = np.array(canvas.shape[:2][::-1]) / image.shape[:2][::-1]  # (x, y)
    corners = np.round(np.asarray(boxes, float).reshape(-1, 2, 2) * ratio).astype(int)
    # Large first: a small object's mask and name stay on top.
    order = np.argsort(-np.prod(corners[:, 1] - corners[:, 0], axis=1), kind='stable')
    stroke = max(1, round(min(canvas.shape[:2]) / 240))
    for i in order:
        color = class_color(int(labels[i]))
        if masks is not None:
            mask = enlarge(np.asarray(masks[i], bool), min_side)
            _draw_mask(canvas, mask, color)
        cv2.rectangle(canvas, *map(tuple, corners[i].tolist()), color, stroke)
    for i in order:
        text = class_names[int(labels[i])]
        if scores is not None:
            text = f'{text} {scores[i]:.2f}'
        _draw_tag(canvas, text, corners[i, 0], class_color(int(labels[i])))
    return canvas


def side_by_side(
    image: ndarray,
    prediction_overlay: ndarray,
    truth_overlay: ndarray,
    titles: Sequence[str] = ('image', 'prediction', 'ground truth'),
) -> ndarray:
    """Set an image, its prediction and its truth in one row, titled.

    Args:
        image: enlarged to the size of the overlays.
        prediction_overlay: as ``draw_instances`` gives it.
        truth_overlay: of the same size.
        titles: one for each of the three.
    """
    height, width = prediction_overlay.shape[:2]
    plain = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    parts = (plain, prediction_overlay, truth_overlay)
    return contact_sheet(parts, columns=3, cell=(height, width), titles=titles)


def contact_sheet(
    pictures: Sequence[ndarray],
    columns: int = 4,
    cell: tuple[int, int] = (240, 240),
    gap: int = 10,
    titles: Sequence[str] | None = None,
) -> ndarray:
    """Set pictures in a grid on white paper, each fitted into its cell.

    Args:
        pictures: at least one; sizes may differ.
        columns: pictures in a row.
        cell: (height, width) in pixels.
        gap: between cells, in pixels.
        titles: a line above each picture.

    Raises:
        ValueError: there are no pictures, or not as many titles.
    """
    if not pictures or (titles is not None and len(titles) != len(pictures)):
        raise ValueError(
            f'need pictures and as many titles, got {len(pictures)} and {titles}'
        )
    height, width = cell
    head = 28 if titles is not None else 0
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.empty(
        (gap + rows * (height + head + gap), gap + columns * (width + gap), 3), np.uint8
    )
    sheet[:] = PAPER
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        top = gap + row * (height + head + gap)
        left = gap + column * (width + gap)
        if titles is not None:
            place = (left + 2, top + 19)
            cv2.putText(sheet, titles[i], place, FONT, 0.6, INK, 1, cv2.LINE_AA)
        fitted = _fit(picture, height, width)
        y = top + head + (height - fitted.shape[0]) // 2
        x = left + (width - fitted.shape[1]) // 2
        sheet[y : y + fitted.shape[0], x : x + fitted.shape[1]] = fitted
    return sheet


def _draw_mask(canvas: ndarray, mask: ndarray, color: tuple) -> None:
    canvas[mask] = (0.6 * canvas[mask] + 0.4 * np.array(color)).astype(np.uint8)
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(canvas, contours, -1, PAPER, 1, cv2.LINE_AA)


def _draw_tag(canvas: ndarray, text: str, corner: ndarray, color: tuple) -> None:
    """Write on a filled tag above the corner, moved inside the picture."""
    scale = min(canvas.shape[:2]) / 960
    (width, height), base = cv2.getTextSize(text, FONT, scale, 1)
    pad = 3
    left = int(np.clip(corner[0], 0, max(canvas.shape[1] - width - 2 * pad, 0)))
    bottom = max(int(corner[1]), height + base + pad)
    box = (left, bottom - height - base - pad), (left + width + 2 * pad, bottom)
    cv2.rectangle(canvas, *box, color, cv2.FILLED)
    place = (left + pad, bottom - base)
    cv2.putText(canvas, text, place, FONT, scale, PAPER, 1, cv2.LINE_AA)


def _fit(picture: ndarray, height: int, width: int) -> ndarray:
    factor = min(height / picture.shape[0], width / picture.shape[1])
    size = [max(1, round(side * factor)) for side in picture.shape[1::-1]]
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(picture, size, interpolation=mode)
