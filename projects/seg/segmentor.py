"""A segmentor that trades time for memory."""

from functools import partial
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from torch import Tensor

from uniformer_backbones.layers.recompute import checkpoint_block


@MODELS.register_module()
class CheckpointedEncoderDecoder(EncoderDecoder):
    """``EncoderDecoder`` whose heads are computed anew in the backward pass.

    Of every head two parts, one after the other: its maps, and the loss with its logits
    at the size of the image, 300 MiB for two crops of ADE20K. Nothing else changes:
    weights, losses, gradients and running statistics are those of ``EncoderDecoder``.
    The backbone has a switch of its own, ``with_cp``.

    mmengine's setting ``activation_checkpointing`` reaches the maps alone, and counts a
    batch twice in BatchNorm's statistics.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for head in self.modules():
            if isinstance(head, BaseDecodeHead):
                head.loss = partial(_checkpointed_loss, head)


def _checkpointed_loss(
    head: BaseDecodeHead, inputs: Any, samples: Any, train_cfg: Any
) -> dict[str, Tensor]:
    """Do what ``BaseDecodeHead.loss`` does, keeping nothing but features and logits."""
    logits = checkpoint_block(head, inputs)
    return checkpoint_block(head, logits, samples, method=head.loss_by_feat)
