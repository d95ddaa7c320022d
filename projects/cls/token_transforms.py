"""Transforms that keep an image and its label map together, for token labeling.

Their order is the released one: flip, RandAugment, then the crop, which turns what it
sees of the map into the soft labels of the tokens. ``TimmImageAugment`` moves
``label_map`` too.
"""

import random
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, RandomFlip
from mmpretrain.datasets.transforms import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS

from projects.cls.label_map import View, label_map_path, read_label_map, view_labels

INTERPOLATIONS = ('bilinear', 'bicubic')


@TRANSFORMS.register_module()
class LoadLabelMap(BaseTransform):
    """Read the label map of ``img_path`` into ``label_map``, ``(2, k, H, W)``.

    Args:
        root: folder of the maps, laid out as :mod:`projects.cls.label_map` says.
        num_classes: of the model; :class:`TokenCrop` finds it in ``label_classes``.

    Raises:
        LabelMapError: the map is missing or not as described.
    """

    def __init__(self, root: str, num_classes: int) -> None:
        self.root = root
        self.num_classes = num_classes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``label_map`` and ``label_classes``."""
        path = label_map_path(self.root, results['img_path'])
        results['label_map'] = read_label_map(path, self.num_classes)
        results['label_classes'] = self.num_classes
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(root={self.root!r})'


@TRANSFORMS.register_module()
class TokenFlip(RandomFlip):
    """mmcv's horizontal ``RandomFlip``, for the label map as well."""

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob=prob, direction='horizontal')

    def _flip(self, results: dict[str, Any]) -> None:
        super()._flip(results)
        results['label_map'] = np.ascontiguousarray(results['label_map'][..., ::-1])


@TRANSFORMS.register_module()
class TokenCrop(RandomResizedCrop):
    """mmpretrain's ``RandomResizedCrop``, and the labels of what it shows.

    ``gt_token_score`` ``(grid, grid, num_classes)`` has a distribution for every token,
    ``gt_score`` ``(num_classes,)`` one for the whole crop; both come from the map.

    Args:
        scale: side of the crop in pixels.
        grid: tokens along a side; ``None`` for ``scale / 32``.
        interpolation: of the image; ``'random'`` is bilinear or bicubic, as released.
        released_view: pool the map over the box that the released code does: it hands
            (top, left, height, width) to RoIAlign where (x1, y1, x2, y2) is meant, so
            that labels and tokens do not lie on each other.
        backend: that resizes.
        **kwargs: of mmpretrain's transform.

    Raises:
        ValueError: ``grid`` is not positive.
    """

    def __init__(
        self,
        scale: int,
        grid: int | None = None,
        interpolation: str = 'random',
        released_view: bool = False,
        backend: str = 'pillow',
        **kwargs: Any,
    ) -> None:
        usual = 'bicubic' if interpolation == 'random' else interpolation
        super().__init__(scale, interpolation=usual, backend=backend, **kwargs)
        self.choices = INTERPOLATIONS if interpolation == 'random' else (usual,)
        self.grid = scale // 32 if grid is None else grid
        if self.grid < 1:
            raise ValueError(f'grid must be at least 1, got {self.grid}')
        self.released_view = released_view

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop, resize, and replace ``label_map`` by soft labels."""
        image = results['img']
        top, left, height, width = self.rand_crop_params(image)
        results['img'] = mmcv.imresize(
            image[top : top + height, left : left + width],
            self.scale[::-1],
            interpolation=random.choice(self.choices),
            backend=self.backend,
        )
        results['img_shape'] = results['img'].shape[:2]
        view = self._view(image.shape[:2], top, left, height, width)
        label_map, classes = results.pop('label_map'), results.pop('label_classes')
        tokens = (self.grid, self.grid)
        results['gt_token_score'] = view_labels(label_map, view, tokens, classes)
        results['gt_score'] = view_labels(label_map, view, (1, 1), classes)[0, 0]
        return results

    def _view(
        self, shape: tuple[int, int], top: int, left: int, height: int, width: int
    ) -> View:
        rows, columns = shape
        if self.released_view:
            return top / rows, left / columns, height / rows, width / columns
        return (
            left / columns,
            top / rows,
            (left + width) / columns,
            (top + height) / rows,
        )
