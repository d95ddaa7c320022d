"""From uint8 images to the input of the network: normalise, erase, mix, on the device.

timm erases normalised images, by noise of mean 0 and deviation 1. mmpretrain's
transform comes before normalisation, where that noise is clipped to [0, 255].
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.registry import MODELS
from timm.data.random_erasing import RandomErasing

from projects.common.batch_mixup import BatchMixup


@MODELS.register_module()
class ImageDataPreprocessor(ClsDataPreprocessor):
    """mmpretrain's preprocessor, then random erasing and mixing while training.

    Every image has its own erased box. Mixing is drawn once per batch, and the partner
    of image i is image B - 1 - i. Targets become soft without smoothing: that is the
    loss's, ``LabelSmoothLoss(mode='original')``, and the order makes no difference.

    Args:
        erasing: ``None`` for none, or what differs from ``probability=0.25``,
            ``min_area=0.02``, ``max_area=1/3``, ``min_aspect=0.3``.
        mixing: ``None`` for none, or what differs from ``mixup_alpha=0.8``,
            ``cutmix_alpha=1.0``, ``prob=1.0``, ``switch_prob=0.5``.
        **kwargs: of mmpretrain's preprocessor; ``num_classes`` if there is mixing.

    Shape:
        Inputs ``(B, C, H, W)`` uint8, or a list of images. Result float32; ``gt_score``
        of each sample ``(num_classes,)`` if mixed.

    Raises:
        ValueError: mixing without ``num_classes``.

    Source:
        timm ``RandomErasing`` (mode ``pixel``) and ``Mixup`` (mode ``batch``).
    """

    def __init__(
        self,
        erasing: Mapping[str, Any] | None = None,
        mixing: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.erasing = self.mixing = None
        if erasing is not None:
            self.erasing = RandomErasing(
                **{'probability': 0.25, **erasing}, mode='pixel'
            )
        if mixing is not None:
            if self.num_classes is None:
                raise ValueError('ImageDataPreprocessor: mixing needs num_classes')
            usual = {'mixup_alpha': 0.8, 'cutmix_alpha': 1.0, 'label_smoothing': 0.0}
            self.mixing = BatchMixup(
                **{**usual, **mixing}, num_classes=self.num_classes
            )

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Stack and normalise; while training also erase and mix."""
        batch = super().forward(data, training)
        images, samples = batch['inputs'], batch['data_samples']
        if training and self.erasing is not None:
            self.erasing.device = images.device
            self.erasing(images)
        if training and self.mixing is not None:
            labels = torch.cat([sample.gt_label for sample in samples])
            _, targets = self.mixing(images, labels.to(images.device))
            for sample, target in zip(samples, targets, strict=True):
                sample.set_gt_score(target)
        return batch
