"""The classification head of clips: mean over T, H, W, then a linear layer."""

from collections.abc import Sequence
from typing import Any

import torch
from mmaction.models import I3DHead
from mmaction.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class ClipHead(I3DHead):
    """MMAction2's ``I3DHead`` as the official recipes use it, with float32 scores.

    Three things differ. It takes the backbone's tuple of maps, of which it uses the
    last. It computes in float32 under any autocast: MMAction2 turns scores into NumPy
    arrays, which have no bfloat16, and the loss keeps its precision. The defaults are
    the official ones: no dropout, initial weights of deviation 0.02, and a video's
    score is the mean of its views' raw logits.

    Args:
        num_classes: of the dataset.
        in_channels: channels of the last map.
        dropout_ratio: before the linear layer.
        init_std: of its initial weights.
        average_clips: ``'score'`` (raw logits), ``'prob'`` or ``None`` (no average).
        **kwargs: of ``I3DHead``, such as ``loss_cls``.

    Shape:
        Maps ``(B, C, *S)``; scores ``(B, num_classes)`` float32. Targets are class
        indices or, after mixing, distributions ``(num_classes,)``.

    Source:
        Official ``uniformer.py`` (``head``); the sum of logits in its ``meters.py``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 512,
        dropout_ratio: float = 0.0,
        init_std: float = 0.02,
        average_clips: str | None = 'score',
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            dropout_ratio=dropout_ratio,
            init_std=init_std,
            average_clips=average_clips,
            **kwargs,
        )

    def forward(self, x: Tensor | Sequence[Tensor], **kwargs: Any) -> Tensor:
        """Score the last of the maps."""
        x = x if isinstance(x, Tensor) else x[-1]
        with torch.autocast(x.device.type, enabled=False):
            x = x.float().mean(tuple(range(2, x.dim())))
            return self.fc_cls(x if self.dropout is None else self.dropout(x))
