"""Training transforms of images in timm's grammar.

Random erasing and mixing follow after normalisation, on the device: see
``projects/cls/preprocessor.py``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from projects.common.randaugment import (
    BACKENDS,
    TimmPolicy,
    apply_steps,
    replay_geometry,
)

# ImageNet's mean, rounded.
IMAGE_FILL = (124, 116, 104)


@TRANSFORMS.register_module()
class TimmImageAugment(BaseTransform):
    """RandAugment or AutoAugment in timm's grammar, on one image.

    mmpretrain's ``RandAugment`` has other tables and treats BGR as RGB.

    Args:
        policy: such as ``'rand-m9-mstd0.5-inc1'`` or ``'v0'``; see
            :class:`~projects.common.randaugment.TimmPolicy`.
        fill: colour of what comes from outside the image, RGB.
        interpolation: of geometric ops: ``'bilinear'``, ``'bicubic'`` or ``'random'``.
        backend: ``'pillow'`` is timm to the bit; ``'cv2'`` is faster.

    Shape:
        ``results['img']``: ``(H, W, 3)`` uint8, BGR, in and out.

    Raises:
        ValueError: an argument is not as described.
    """

    def __init__(
        self,
        policy: str = 'rand-m9-mstd0.5-inc1',
        fill: Sequence[int] = IMAGE_FILL,
        interpolation: str = 'bicubic',
        backend: str = 'pillow',
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(
                f'backend must be one of {", ".join(BACKENDS)}; got {backend!r}'
            )
        self.policy = TimmPolicy(policy, fill, interpolation)
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Augment ``img``; move ``label_map`` of token labeling with it if present."""
        steps = self.policy.draw()
        image = np.ascontiguousarray(results['img'][..., ::-1])
        (image,) = apply_steps(steps, [image], self.backend)
        results['img'] = np.ascontiguousarray(image[..., ::-1])
        if 'label_map' in results:
            results['label_map'] = replay_geometry(steps, results['label_map'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.policy.text!r}, backend={self.backend!r})'
