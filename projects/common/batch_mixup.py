"""timm's mixup and CutMix as the official recipes use them: one draw per batch."""

from timm.data.mixup import Mixup, mixup_target
from torch import Tensor


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
