"""Training transforms of clips: whatever is drawn is drawn once for all frames.

Random erasing and mixing follow after normalisation, on the device: see
``projects/video/preprocessor.py``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.datasets.transforms import RandomResizedCrop
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from torchvision import transforms as vision

from projects.common.randaugment import BACKENDS, VIDEO_FILL, TimmPolicy, apply_steps


@TRANSFORMS.register_module()
class TimmRandAugment(BaseTransform):
    """RandAugment in timm's grammar, the same ops and arguments for every frame.

    Goes right after decoding, on frames of the original size.

    Args:
        policy: such as ``'rand-m7-n4-mstd0.5-inc1'``; see
            :class:`~projects.common.randaugment.TimmPolicy`.
        fill: colour of what comes from outside the frame, RGB.
        interpolation: of geometric ops: ``'bilinear'``, ``'bicubic'`` or ``'random'``.
        backend: ``'cv2'``, or ``'pillow'`` for geometric ops that are timm's to the
            bit at several times the price.

    Shape:
        ``results['imgs']``: list of ``(H, W, 3)`` uint8, RGB, in and out.

    Raises:
        ValueError: an argument is not as described.

    Source:
        ``rand_augment.py`` of the official video code, itself timm's.
    """

    def __init__(
        self,
        policy: str = 'rand-m7-n4-mstd0.5-inc1',
        fill: Sequence[int] = VIDEO_FILL,
        interpolation: str = 'bicubic',
        backend: str = 'cv2',
    ) -> None:
        if backend not in BACKENDS:
            raise ValueError(
                f'backend must be one of {", ".join(BACKENDS)}; got {backend!r}'
            )
        self.policy = TimmPolicy(policy, fill, interpolation)
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Augment ``imgs``; the decoded frames stay as they are."""
        steps = self.policy.draw()
        results['imgs'] = apply_steps(steps, results['imgs'], self.backend)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.policy.text!r}, backend={self.backend!r})'


@TRANSFORMS.register_module()
class TimmResizedCrop(RandomResizedCrop):
    """The box of a random resized crop as torchvision, timm and PySlowFast draw it.

    MMAction2's draws the same box until ten attempts have failed; then it takes a
    centred square, where the others take as much of the frame as the ratio allows.
    ``Resize(scale=(S, S), keep_ratio=False)`` follows: bilinear, and the official
    float result rounded to uint8.

    Args:
        area_range: of the box, as a share of the frame.
        aspect_ratio_range: width over height, log-uniform.
        lazy: as in MMAction2.
    """

    @staticmethod
    def get_crop_bbox(
        img_shape: tuple[int, int],
        area_range: tuple[float, float],
        aspect_ratio_range: tuple[float, float],
        max_attempts: int = 10,
    ) -> tuple[int, int, int, int]:
        """Draw (left, top, right, bottom); torchvision counts to ten by itself."""
        frame = torch.empty(tuple(img_shape), device='meta')
        top, left, height, width = vision.RandomResizedCrop.get_params(
            frame, list(area_range), list(aspect_ratio_range)
        )
        return left, top, left + width, top + height
