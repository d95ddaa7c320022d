"""The image classification head of the hourglass variants."""

from typing import Any

from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from projects.common.class_token import ClassTokenHead, mean_losses


@MODELS.register_module()
class LightHead(ClassTokenHead, LinearClsHead):
    """A linear layer on the mean of the map; in training another on the class token.

    It takes the place of a pooling neck too: ``neck=None``.

    Args:
        num_classes: of the dataset.
        in_channels: of the last map and of the class token.
        init_cfg: as in mmengine.
        **kwargs: of mmpretrain's ``LinearClsHead``, such as ``loss``.

    Shape:
        ``(..., map (B, C, h, w), class token (B, C))`` of a backbone with
        ``out_cls_token=True``; scores ``(B, num_classes)``.

    Source:
        Official ``uniformer_light.py`` (``head``, ``head_cls``).
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        init_cfg = init_cfg or {'type': 'TruncNormal', 'layer': 'Linear', 'std': 0.02}
        super().__init__(num_classes, in_channels, init_cfg=init_cfg, **kwargs)
        self.add_token_classifier(in_channels, num_classes)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Mean of the map: ``(B, C)``."""
        return feats[-2].flatten(2).mean(-1)

    def loss(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample], **kwargs: Any
    ) -> dict[str, Tensor]:
        """Mean of the losses of both classifiers."""
        return mean_losses(
            *(
                self._get_loss(scores, data_samples, **kwargs)
                for scores in (self(feats), self.score_token(feats))
            )
        )
