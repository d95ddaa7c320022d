"""One library each: what its inferencer finds in one input, as data and as a picture.

The inferencers come from the libraries; here they get a config without what inference
does not need, and what they give becomes plain data.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from numpy import ndarray
from torch import nn

from projects.common.media import IMAGES, VIDEOS, read_frames, read_image
from projects.common.overlays import draw_poses, draw_scores, draw_segments, frame_strip
from projects.common.pictures import draw_instances

TOP = 5
STRIP_FRAMES = 8


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
                'score': _number(values[label]),
            }
            for label in np.argsort(-values, kind='stable')[:TOP]
        ]
        lines = [(item['class'], item['score']) for item in top]
        return {**top[0], 'top': top}, draw_scores(image, lines)


class Detector(Predictor):
    """Boxes and, where the model has them, masks."""

    scope = 'mmdet'

    def build(self, cfg: Config) -> Any:
        from mmdet.apis import DetInferencer

        cfg.visualizer = {'type': 'DetLocalVisualizer'}
        return DetInferencer(cfg, self.settings.checkpoint, self.settings.device)

    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        image = read_image(path)
        sample = self.inferencer(image, return_datasamples=True)['predictions'][0]
        found = sample.pred_instances.cpu().numpy()
        found = found[found.scores >= self.settings.threshold]
        masks = found.masks.astype(bool) if 'masks' in found else None
        things = []
        for i in range(len(found)):
            label = int(found.labels[i])
            thing = {
                'class': self.class_name(label),
                'label': label,
                'score': _number(found.scores[i]),
                'box': _numbers(found.bboxes[i]),
            }
            if masks is not None:
                thing['mask'] = encode_mask(masks[i])
            things.append(thing)
        names = [self.class_name(i) for i in range(max([*found.labels, 0]) + 1)]
        picture = draw_instances(
            image, found.bboxes, found.labels, names, masks, found.scores
        )
        return {'instances': things}, picture


class Segmenter(Predictor):
    """A class for every pixel, as a PNG of class numbers."""

    scope = 'mmseg'

    def build(self, cfg: Config) -> Any:
        from mmseg.apis import MMSegInferencer

        cfg.visualizer = {'type': 'SegLocalVisualizer'}
        return MMSegInferencer(
            cfg, self.settings.checkpoint, device=self.settings.device
        )

    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        image = read_image(path)
        sample = self.inferencer(image, return_datasamples=True)
        labels = sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint16)
        file = self.settings.folder / 'masks' / f'{name}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(file), labels if labels.max() > 255 else labels.astype(np.uint8)
        )
        seen, counts = np.unique(labels, return_counts=True)
        names = [self.class_name(i) for i in range(int(seen.max()) + 1)]
        shares = [
            {'class': names[label], 'label': int(label), 'share': _number(share)}
            for label, share in zip(seen, counts / labels.size, strict=True)
        ]
        data = {'mask': str(file.relative_to(self.settings.folder)), 'classes': shares}
        return data, draw_segments(image, labels, names)


class Classifier(Predictor):
    """The most probable classes of an image."""

    scope = 'mmpretrain'

    def build(self, cfg: Config) -> Any:
        from mmpretrain.apis import ImageClassificationInferencer
        from mmpretrain.utils import progress

        progress.disable_progress_bar = True
        return ImageClassificationInferencer(
            cfg, self.settings.checkpoint, device=self.settings.device
        )

    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        image = read_image(path)
        (sample,) = self.inferencer(image, return_datasamples=True)
        return self.rank(sample.pred_score.tolist(), image)


class Recognizer(Predictor):
    """The most probable classes of a video."""

    scope = 'mmaction'
    suffixes = VIDEOS

    def build(self, cfg: Config) -> Any:
        from mmaction.apis.inferencers import MMAction2Inferencer

        own = cfg.test_dataloader.dataset.pipeline
        if any('Decode' in str(step['type']) for step in own):
            own = None
        cfg.pop('visualizer', None)
        outer = MMAction2Inferencer(
            cfg, self.settings.checkpoint, device=self.settings.device
        )
        inner = outer.actionrecog_inferencer
        if own is not None:  # it reads the file itself; mmaction would decode it twice
            inner.pipeline = Compose([{'type': 'InferencerPackInput'}, *own])
        return inner

    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        frames = read_frames(path, STRIP_FRAMES)
        found = self.inferencer(str(path))['predictions'][0]
        return self.rank(found['pred_scores'], frame_strip(frames))


class PoseEstimator(Predictor):
    """Keypoints of each box, or of the whole image."""

    scope = 'mmpose'

    def build(self, cfg: Config) -> Any:
        from mmpose.apis import MMPoseInferencer

        cfg.visualizer = {'type': 'PoseLocalVisualizer'}
        dataset = cfg.test_dataloader.dataset
        cfg.setdefault('dataset_type', dataset.type)
        cfg.setdefault('data_mode', dataset.get('data_mode', 'topdown'))
        boxes: dict[str, Any] = {'det_model': 'whole_image'}
        if self.settings.detector is not None:
            config, weights, category = self.settings.detector
            boxes = {'det_model': config, 'det_weights': weights}
            boxes['det_cat_ids'] = (category,)
        outer = MMPoseInferencer(
            cfg, self.settings.checkpoint, device=self.settings.device, **boxes
        )
        return outer.inferencer

    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        image = read_image(path)
        result = next(self.inferencer(image, return_datasamples=True))
        found = result['predictions'][0].pred_instances
        points, scores = np.asarray(found.keypoints), np.asarray(found.keypoint_scores)
        meta = self.model.dataset_meta
        people = [
            {
                'box': _numbers(np.asarray(found.bboxes[i]).reshape(-1)[:4]),
                'box_score': _number(found.bbox_scores[i]),
                'score': _number(scores[i].mean()),
                'keypoints': self._keypoints(points[i], scores[i], meta),
            }
            for i in range(len(points))
        ]
        picture = draw_poses(image, points, scores, meta, self.settings.threshold)
        return {'instances': people}, picture

    def _keypoints(
        self, points: ndarray, scores: ndarray, meta: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        names = meta.get('keypoint_id2name') or {}
        return [
            {
                'name': str(names.get(i, i)),
                'x': _number(point[0]),
                'y': _number(point[1]),
                'score': _number(score),
            }
            for i, (point, score) in enumerate(zip(points, scores, strict=True))
        ]


PREDICTORS = {
    kind.scope: kind
    for kind in (Detector, Segmenter, Classifier, Recognizer, PoseEstimator)
}


def encode_mask(mask: ndarray) -> dict[str, Any]:
    """COCO's run-length encoding of a ``(H, W)`` bool mask, as plain data."""
    from pycocotools import mask as coco

    code = coco.encode(np.asfortranarray(mask, np.uint8))
    return {'size': list(code['size']), 'counts': code['counts'].decode()}


def _number(value: Any) -> float:
    return round(float(value), 4)


def _numbers(values: ndarray) -> list[float]:
    return [round(float(value), 2) for value in values]
