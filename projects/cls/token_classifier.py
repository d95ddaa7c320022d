"""An image classifier that trains with token labels."""

from typing import Any

from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from projects.cls.token_mixing import TokenMixer
from uniformer_backbones import load_official


@MODELS.register_module()
class TokenLabelingClassifier(ImageClassifier):
    """mmpretrain's classifier with MixToken between backbone and head.

    Args:
        mix_beta: of :class:`~projects.cls.token_mixing.TokenMixer`; ``None`` trains
            with token labels alone.
        init_cfg: ``dict(type='Pretrained', checkpoint=FILE)`` takes the whole model,
            heads included, from any published UniFormer file.
        **kwargs: of ``ImageClassifier``. ``backbone`` is a UniFormer, ``head`` a
            :class:`~projects.cls.token_head.TokenLabelingHead`, and there is no neck.

    Source:
        arXiv:2104.10858; official ``tlt/models/uniformer.py`` (``mix_token``).
    """

    def __init__(
        self,
        mix_beta: float | None = 1.0,
        init_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if mix_beta is not None and not mix_beta > 0:
            raise ValueError(f'mix_beta must be positive or None, got {mix_beta!r}')
        super().__init__(**kwargs)
        self.mix_beta = mix_beta
        self.pretrained = init_cfg

    def init_weights(self) -> None:
        """Initialise all parts, then take the file of ``init_cfg`` if there is one."""
        super().init_weights()
        if self.pretrained:
            load_official(self, self.pretrained['checkpoint'])

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of a batch ``(B, 3, H, W)``, its tokens mixed within boxes."""
        if self.mix_beta is None:
            return self.head.loss(self.backbone(inputs), data_samples)
        mixer = TokenMixer(self.mix_beta)
        feats = self.backbone(inputs, mixer)
        return self.head.loss(feats, data_samples, mixer.token_box)
