"""Masks of labels or of colours, read for training."""

from collections.abc import Sequence, Set
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS
from numpy import ndarray
from PIL import Image

from projects.common.errors import LoadingError

IGNORED = 255


class MaskError(LoadingError):
    """A mask cannot be trained on, which may be found in the middle of a run."""


class LoadMask(LoadAnnotations):
    """mmseg's ``LoadAnnotations``; without a mask, as in inference, it does nothing."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``, ``(H, W)`` uint8, 255 where there is no class."""
        return super().transform(results) if 'seg_map_path' in results else results


@TRANSFORMS.register_module()
class LoadLabelMask(LoadMask):
    """Load a mask of labels, all of them classes or 255.

    Args:
        labels: labels in the file go from 0 to ``labels - 1``.
        **kwargs: of mmseg's ``LoadAnnotations``.
    """

    def __init__(self, labels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.labels = labels

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        super()._load_seg_map(results)
        seen = labels_in(results['gt_seg_map']) - {IGNORED}
        first = int(results['reduce_zero_label'])  # subtracted from what is in the file
        labels = {label + first for label in seen}
        check_labels(labels, self.labels, results['seg_map_path'])


@TRANSFORMS.register_module()
class LoadColorMask(LoadMask):
    """Load a mask whose colours are classes; any format that PIL reads.

    Args:
        colors: RGB of each class.
        ignored: RGB of what is no class; other colours are ignored just so, but
            ``check_data`` refuses them.
    """

    def __init__(
        self,
        colors: Sequence[Sequence[int]],
        ignored: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        self.colors, self.ignored = colors, ignored

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        content = fileio.get(results['seg_map_path'], backend_args=self.backend_args)
        with Image.open(BytesIO(content)) as image:
            pixels = np.asarray(image.convert('RGB'))
        results['gt_seg_map'] = label_colors(pixels, self.colors)
        results['seg_fields'].append('gt_seg_map')


def labels_in(mask: ndarray) -> set[int]:
    """Values that occur in a mask of 8-bit labels or of bits."""
    return set(np.flatnonzero(np.bincount(mask.ravel())).tolist())


def check_labels(seen: Set[int], labels: int, mask: Path | str, note: str = '') -> None:
    """Refuse labels that are no class.

    Args:
        seen: labels of a mask.
        labels: they go from 0 to ``labels - 1``, and 255 is ignored.
        mask: the file.
        note: ends the message.

    Raises:
        MaskError: names the file and its highest wrong label.
    """
    wrong = [label for label in seen if label >= labels and label != IGNORED]
    if wrong:
        raise MaskError(
            f'{mask}: holds label {max(wrong)}, but labels go from 0 to {labels - 1}, '
            f'255 is ignored{note}'
        )


def label_colors(pixels: ndarray, colors: Sequence[Sequence[int]]) -> ndarray:
    """Give the index of each pixel's colour, 255 where it is in no list.

    Shape:
        ``pixels`` ``(H, W, 3)`` uint8, RGB; returns ``(H, W)`` uint8.

    Examples:
        >>> label_colors(np.uint8([[[9, 0, 0], [0, 9, 0]]]), [(0, 9, 0)]).tolist()
        [[255, 0]]
    """
    codes, places = np.unique(_encode(pixels), return_inverse=True)
    known = {int(_encode(np.asarray(color))): i for i, color in enumerate(colors)}
    labels = np.array([known.get(int(code), IGNORED) for code in codes], np.uint8)
    return labels[places].reshape(pixels.shape[:2])


def _encode(pixels: ndarray) -> ndarray:
    return pixels.astype(np.int64) @ np.array([65536, 256, 1])
