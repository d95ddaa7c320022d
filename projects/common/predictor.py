"""What the predictors of all tasks share: settings, scope, class names, numbers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from numpy import ndarray
from torch import nn

from projects.common.media import IMAGES
from projects.common.overlays import draw_scores

TOP = 5


@dataclass
class Settings:
    """What a predictor needs to know beside the config.

    Attributes:
        checkpoint: file with the weights.
        classes: name of each class, as far as known.
        device: where to run.
        threshold: lowest score that counts.
        folder: where files beside the json go.
        detector: pose only: config, checkpoint and class of the boxes, ``None`` for
            the whole image.
    """

    checkpoint: str
    classes: Sequence[str]
    device: str
    threshold: float
    folder: Path
    detector: tuple[str, str, int] | None = None


class Predictor(ABC):
    """Predicts one input at a time.

    Attributes:
        suffixes: of the files it reads out of a folder.
        model: the model with its weights.
    """

    scope: str
    suffixes = IMAGES

    def __init__(self, cfg: Config, settings: Settings) -> None:
        self.settings = settings
        with self._scope(), redirect_stdout(StringIO()):
            self.inferencer = self.build(cfg)
        self.inferencer.show_progress = False

    def predict(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        """Data for the json, and a picture.

        Args:
            path: the input.
            name: its file name in the output folder, without suffix.
        """
        with self._scope(), torch.no_grad():
            return self.look(path, name)

    def _scope(self) -> Any:
        return DefaultScope.overwrite_default_scope(self.scope)

    @property
    def model(self) -> nn.Module:
        return self.inferencer.model

    @property
    def detector(self) -> nn.Module | None:
        """The model behind the boxes of a pose, if there is one."""
        return getattr(getattr(self.inferencer, 'detector', None), 'model', None)

    @abstractmethod
    def build(self, cfg: Config) -> Any:
        """Make the library's inferencer."""

    @abstractmethod
    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        """What :meth:`predict` does, inside the library's scope."""

    def class_name(self, label: int) -> str:
        """Name of a class, or its number where the names are unknown."""
        known = self.settings.classes
        return str(known[label]) if label < len(known) else f'class {label}'

    def rank(
        self, scores: Sequence[float], image: ndarray
    ) -> tuple[dict[str, Any], ndarray]:
        """The classes with the highest scores, highest first; and written on it."""
        values = np.asarray(scores, float)
        top = [
            {
                'class': self.class_name(int(label)),
                'label': int(label),
                'score': plain(values[label]),
            }
            for label in np.argsort(-values, kind='stable')[:TOP]
        ]
        lines = [(item['class'], item['score']) for item in top]
        return {**top[0], 'top': top}, draw_scores(image, lines)


def encode_mask(mask: ndarray) -> dict[str, Any]:
    """COCO's run-length encoding of a ``(H, W)`` bool mask, as plain data."""
    from pycocotools import mask as coco

    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(code['size']), 'counts': code['counts'].decode()}


def plain(value: Any) -> float:
    """A number for the json."""
    return round(float(value), 4)


def plain_list(values: ndarray) -> list[float]:
    """Coordinates for the json, in hundredths of a pixel."""
    return [round(float(value), 2) for value in values]
