"""From uint8 clips to the input of the network: normalise, erase, mix, on the device.

The official code erases normalised clips, by noise of mean 0 and deviation 1. Before
normalisation that noise would be clipped to [0, 255], so both happen here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmaction.models import ActionDataPreprocessor
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from timm.data.mixup import Mixup, mixup_target
from timm.data.random_erasing import RandomErasing
from torch import Tensor

# 0.45 and 0.225 of 255, for all channels: not ImageNet's.
MEAN = (114.75,) * 3
STD = (57.375,) * 3


class BatchMixup(Mixup):
    """timm's mixup and CutMix with one draw per batch, for any number of samples.

    The partner of sample i is sample B - 1 - i. timm refuses an odd number because
    its other modes work in pairs; here the middle sample meets itself.

    Shape:
        ``(B, C, H, W)`` floating, changed in place; labels ``(B,)`` to targets
        ``(B, num_classes)``.
    """

    def __call__(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        share = self._mix_batch(x)
        smoothing = self.label_smoothing
        return x, mixup_target(target, self.num_classes, share, smoothing)


@MODELS.register_module()
class ClipDataPreprocessor(ActionDataPreprocessor):
    """MMAction2's preprocessor, then random erasing and mixing while training.

    Every clip has its own erased box, the same in all frames, filled with noise that
    is independent in every frame, channel and pixel. Mixing is drawn once per batch;
    CutMix pastes the same box into all frames. The targets become soft, with label
    smoothing inside, and the head's cross-entropy takes them as they are: leave the
    head's own ``label_smooth_eps`` at 0.

    Args:
        mean: per channel, on 0-255.
        std: per channel, on 0-255.
        erasing: ``None`` for none, or what differs from ``probability=0.25``,
            ``min_area=0.02``, ``max_area=1/3``, ``min_aspect=0.3``.
        mixing: ``None`` for none, or ``num_classes`` and what differs from
            ``mixup_alpha=0.8``, ``cutmix_alpha=1.0``, ``prob=1.0``,
            ``switch_prob=0.5``, ``label_smoothing=0.1``.
        format_shape: as in MMAction2.
        **kwargs: of MMAction2's preprocessor.

    Shape:
        Inputs: list of ``(M, C, T, H, W)`` uint8, M views. Result ``(B, M, C, T, H,
        W)`` float32; ``gt_label`` of each sample ``(num_classes,)`` if mixed.

    Raises:
        ValueError: samples to be mixed have more than one label.

    Source:
        timm ``RandomErasing`` (mode ``pixel``) and ``Mixup`` (mode ``batch``), of which
        the official video code has copies.
    """

    def __init__(
        self,
        mean: Sequence[float] = MEAN,
        std: Sequence[float] = STD,
        erasing: Mapping[str, Any] | None = None,
        mixing: Mapping[str, Any] | None = None,
        format_shape: str = 'NCTHW',
        **kwargs: Any,
    ) -> None:
        super().__init__(mean, std, format_shape=format_shape, **kwargs)
        self.erasing = self.mixing = None
        if erasing is not None:
            self.erasing = RandomErasing(
                **{'probability': 0.25, **erasing}, mode='pixel'
            )
        if mixing is not None:
            usual = {'mixup_alpha': 0.8, 'cutmix_alpha': 1.0}
            self.mixing = BatchMixup(**{**usual, **mixing})

    def preprocess(
        self,
        inputs: list[Tensor],
        data_samples: list[ActionDataSample],
        training: bool = False,
    ) -> tuple[Tensor, list[ActionDataSample]]:
        """Stack and normalise; while training also erase and mix."""
        batch, data_samples = super().preprocess(inputs, data_samples, training)
        if training:
            # With frames as channels, a clip is an image to timm: one box for all.
            images = batch.view(len(batch), -1, *batch.shape[-2:])
            if self.erasing is not None:
                self.erasing.device = images.device
                self.erasing(images)
            if self.mixing is not None:
                self._mix(images, data_samples)
        return batch, data_samples

    def _mix(self, images: Tensor, data_samples: list[ActionDataSample]) -> None:
        labels = [sample.gt_label for sample in data_samples]
        if any(label.numel() != 1 for label in labels):
            raise ValueError('mixing needs one label per clip; set mixing=None')
        _, targets = self.mixing(images, torch.cat(labels).to(images.device))
        for sample, target in zip(data_samples, targets, strict=True):
            sample.set_gt_label(target)
