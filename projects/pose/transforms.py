"""Augmentation of person boxes as the official release has it."""

import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmpose.datasets.transforms import RandomBBoxTransform
from mmpose.registry import TRANSFORMS
from numpy import ndarray


@TRANSFORMS.register_module()
class ClippedBoxTransform(RandomBBoxTransform):
    """Scale and turn a person's box by clipped normal numbers; never shift it.

    mmpose 1.x draws from truncated normals, which hardly reach their ends; here a third
    of all scales is at one of the ends, and one turn in twenty.

    Args:
        scale_sigma: of the factor around 1, clipped at one sigma.
        rotate_sigma: degrees, clipped at two sigmas.
        rotate_prob: how often the box is turned.

    Source:
        ``TopDownGetRandomScaleRotation`` of mmpose 0.16.
    """

    def __init__(
        self,
        scale_sigma: float = 0.5,
        rotate_sigma: float = 40.0,
        rotate_prob: float = 0.6,
    ) -> None:
        super().__init__(
            shift_prob=0.0,
            scale_factor=(1 - scale_sigma, 1 + scale_sigma),
            rotate_factor=2 * rotate_sigma,
            rotate_prob=rotate_prob,
        )
        self.scale_sigma, self.rotate_sigma = scale_sigma, rotate_sigma

    @cache_randomness
    def _get_transform_params(
        self, num_bboxes: int
    ) -> tuple[ndarray, ndarray, ndarray]:
        """Offsets ``(N, 2)``, factors ``(N, 1)`` and degrees ``(N,)``."""
        scale, turn = np.random.standard_normal((2, num_bboxes)).astype(np.float32)  # noqa: NPY002 - mmengine seeds this generator
        turned = np.random.random(num_bboxes) < self.rotate_prob  # noqa: NPY002
        degrees = np.clip(turn, -2, 2) * self.rotate_sigma
        return (
            np.zeros((num_bboxes, 2), np.float32),
            1 + np.clip(scale, -1, 1)[:, None] * self.scale_sigma,
            np.where(turned, degrees, 0).astype(np.float32),
        )
