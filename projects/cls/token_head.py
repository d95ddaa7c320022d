"""The heads of token labeling: one for the image, one for each of its tokens."""

from typing import Any

import torch
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from projects.cls.token_mixing import Box, kept_share, swap_box

NO_BOX: Box = (0, 0, 0, 0)


@MODELS.register_module()
class TokenLabelingHead(ClsHead):
    """A class head on the mean token and an auxiliary head on every token.

    In training each meets soft labels: ``gt_score`` of the image and ``gt_token_score``
    of its tokens. In prediction the score of a class is the class head's plus a share
    of the highest that any token gives it.

    Args:
        num_classes: of the dataset.
        in_channels: of the last map.
        cls_weight: of the loss of the class head.
        dense_weight: of the loss of the auxiliary head, a mean over tokens.
        smoothing: label smoothing of all soft labels, as released: ``t`` becomes
            ``(1 - s + s / classes) t + s / classes``, which sums to a little over 1.
        token_share: of the tokens' maximum in the prediction. Without it the published
            accuracy is not reached.
        init_cfg: as in mmengine.
        **kwargs: of mmpretrain's ``ClsHead``.

    Shape:
        Maps ``(B, C, h, w)``, of which the last is used; scores ``(B, num_classes)``.

    Source:
        arXiv:2104.10858; official ``tlt/models/uniformer.py`` (``head``, ``aux_head``)
        and ``tlt/loss``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        cls_weight: float = 1.0,
        dense_weight: float = 1.0,
        smoothing: float = 0.1,
        token_share: float = 0.5,
        init_cfg: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if not 0 <= smoothing < 1:
            raise ValueError(f'smoothing must be in [0, 1), got {smoothing}')
        init_cfg = init_cfg or {'type': 'TruncNormal', 'layer': 'Linear', 'std': 0.02}
        kwargs.setdefault('loss', {'type': 'CrossEntropyLoss', 'use_soft': True})
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.cls_weight = cls_weight
        self.dense_weight = dense_weight
        self.smoothing = smoothing
        self.token_share = token_share
        self.fc = nn.Linear(in_channels, num_classes)
        self.aux_head = nn.Linear(in_channels, num_classes)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Tokens ``(B, h, w, C)`` of the last map."""
        return feats[-1].movedim(1, -1)

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Score ``(B, num_classes)`` for prediction: image plus a share of tokens."""
        scores, tokens = self.scores(feats)
        return scores + self.token_share * tokens.flatten(1, 2).amax(1)

    def scores(
        self, feats: tuple[Tensor, ...], box: Box = NO_BOX
    ) -> tuple[Tensor, Tensor]:
        """Scores of the image and of each token.

        Args:
            feats: maps of the backbone.
            box: of MixToken on the grid of the tokens; the tokens in it are given back
                to the samples they came from.

        Shape:
            ``(B, num_classes)`` and ``(B, h, w, num_classes)``.
        """
        tokens = self.pre_logits(feats)
        return self.fc(tokens.mean((1, 2))), swap_box(self.aux_head(tokens), box)

    def loss(
        self,
        feats: tuple[Tensor, ...],
        data_samples: list[DataSample],
        box: Box = NO_BOX,
    ) -> dict[str, Tensor]:
        """Soft cross-entropy of the image and of its tokens.

        Args:
            feats: maps of the backbone.
            data_samples: with ``gt_score`` ``(num_classes,)`` and ``gt_token_score``
                ``(h, w, num_classes)``, distributions of the unmixed sample.
            box: of MixToken on the grid of the tokens.

        Raises:
            ValueError: the labels were made for another grid of tokens.
        """
        scores, tokens = self.scores(feats, box)
        target = self._smooth([s.gt_score for s in data_samples], scores)
        dense = self._smooth([s.gt_token_score for s in data_samples], tokens)
        if dense.shape != tokens.shape:
            raise ValueError(
                f'token labels are {tuple(dense.shape[1:])} for tokens of shape '
                f'{tuple(tokens.shape[1:])} (rows, columns, classes); set the grid of '
                'TokenCrop to the crop size / 32, and num_classes of both to the same'
            )
        share = kept_share(box, tokens.shape[1] * tokens.shape[2])
        target = share * target + (1 - share) * target.flip(0)
        return {
            'loss_cls': self.cls_weight * self.loss_module(scores, target),
            'loss_token': self.dense_weight
            * self.loss_module(tokens.flatten(0, 2), dense.flatten(0, 2)),
        }

    def _smooth(self, targets: list[Tensor], like: Tensor) -> Tensor:
        off = self.smoothing / self.num_classes
        stacked = torch.stack(targets).to(like.device, torch.float32)
        return stacked * (1 - self.smoothing + off) + off
