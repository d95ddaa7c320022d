"""The clip classification head of the hourglass variants."""

from collections.abc import Sequence
from typing import Any

from mmaction.registry import MODELS
from mmaction.utils import SampleList
from mmengine.model import normal_init
from torch import Tensor

from projects.common.class_token import ClassTokenHead, mean_losses
from projects.video.head import ClipHead


@MODELS.register_module()
class LightClipHead(ClassTokenHead, ClipHead):
    """``ClipHead`` on the map; in training another classifier on the class token.

    Args:
        num_classes: of the dataset.
        in_channels: of the last map and of the class token.
        **kwargs: of :class:`ClipHead`.

    Shape:
        ``(..., map (B, C, *S), class token (B, C))`` of a backbone with
        ``out_cls_token=True``; scores ``(B, num_classes)`` float32.

    Source:
        Official ``uniformer_light.py`` (``head``, ``head_cls``).
    """

    def __init__(self, num_classes: int, in_channels: int, **kwargs: Any) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.add_token_classifier(in_channels, num_classes)

    def init_weights(self) -> None:
        """Draw both linear layers alike."""
        super().init_weights()
        normal_init(self.head_cls, std=self.init_std)

    def forward(self, x: Sequence[Tensor], **kwargs: Any) -> Tensor:
        """Score the map."""
        return super().forward(x[-2], **kwargs)

    def loss(
        self, feats: Sequence[Tensor], data_samples: SampleList, **kwargs: Any
    ) -> dict[str, Tensor]:
        """Mean of the losses of both classifiers."""
        return mean_losses(
            *(
                self.loss_by_feat(scores, data_samples)
                for scores in (self(feats, **kwargs), self.score_token(feats))
            )
        )
