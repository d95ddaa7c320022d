"""What the heads of the hourglass variants share, whatever library they are for.

In training a second classifier sees the class token; the loss is the mean of both. In
prediction the classifier of the map stands alone.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class ClassTokenHead(nn.Module):
    """Mixin of a head: a LayerNorm and a linear layer on the class token.

    The head's features are ``(map (B, C, *S), class token (B, C))``, the output of a
    backbone with ``out_cls_token=True``.

    Source:
        Official keys ``norm_cls`` (eps 1e-5), ``head_cls``; ``engine.py`` (the mean).
    """

    def add_token_classifier(self, in_channels: int, num_classes: int) -> None:
        """Make the layers, under their official names."""
        self.norm_cls = nn.LayerNorm(in_channels)
        self.head_cls = nn.Linear(in_channels, num_classes)

    def score_token(self, feats: Sequence[Tensor]) -> Tensor:
        """Scores ``(B, num_classes)`` of the class token, in float32."""
        token = feats[-1]
        with torch.autocast(token.device.type, enabled=False):
            return self.head_cls(self.norm_cls(token.to(self.head_cls.weight.dtype)))


def mean_losses(
    ours: Mapping[str, Tensor], token: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Half of each classifier's losses, so that their sum is the mean.

    Args:
        ours: of the map; what is no loss, such as an accuracy, stays.
        token: of the class token; what is no loss is left out.

    Returns:
        ``loss_cls`` and ``loss_token``, and the rest of ``ours``.
    """
    halves = {
        name: 0.5 * sum(value for key, value in losses.items() if 'loss' in key)
        for name, losses in (('loss_cls', ours), ('loss_token', token))
    }
    rest = {key: value for key, value in ours.items() if 'loss' not in key}
    return {**halves, **rest}
