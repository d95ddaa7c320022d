"""One library each: what its inferencer finds in one input, as data and as a picture.

The inferencers come from the libraries; here they get a config without what inference
does not need, and what they give becomes plain data.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from numpy import ndarray

from projects.common.media import VIDEOS, read_frames, read_image
from projects.common.overlays import draw_poses, draw_segments, frame_strip
from projects.common.pictures import draw_instances, write_png
from projects.common.predictor import Predictor, encode_mask, plain, plain_list

STRIP_FRAMES = 8


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
                'score': plain(found.scores[i]),
                'box': plain_list(found.bboxes[i]),
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
        write_png(file, labels if labels.max() > 255 else labels.astype(np.uint8))
        seen, counts = np.unique(labels, return_counts=True)
        names = [self.class_name(i) for i in range(int(seen.max()) + 1)]
        shares = [
            {'class': names[label], 'label': int(label), 'share': plain(share)}
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

        dataset = cfg.test_dataloader.dataset
        own = list(dataset.pipeline)
        if dataset.get('sample') is not None:  # ours: any video, whatever it trained on
            backend = dataset.get('backend', 'pyav')
            own.insert(
                0, {'type': 'SampleVideo', 'sample': dataset.sample, 'backend': backend}
            )
        elif any('Decode' in str(step['type']) for step in own):
            own = []
        cfg.pop('visualizer', None)
        outer = MMAction2Inferencer(
            cfg, self.settings.checkpoint, device=self.settings.device
        )
        inner = outer.actionrecog_inferencer
        if own:  # it reads the file itself; mmaction would decode it twice
            inner.pipeline = Compose([{'type': 'InferencerPackInput'}, *own])
        return inner

    def look(self, path: Path, name: str) -> tuple[dict[str, Any], ndarray]:
        frames = read_frames(path, STRIP_FRAMES)
        found = self.inferencer(str(path))['predictions'][0]
        scores = np.asarray(found['pred_scores'])
        if scores.min() < 0 or abs(scores.sum() - 1) > 1e-3:  # logits, mean of views
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        return self.rank(scores, frame_strip(frames))


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
        sure = {'bbox_thr': self.settings.threshold}
        result = next(self.inferencer(image, return_datasamples=True, **sure))
        found = result['predictions'][0].pred_instances
        if self.detector is not None and _is_whole(found, image):
            found = found[:0]  # mmpose takes the whole image where nobody was found
        points, scores = np.asarray(found.keypoints), np.asarray(found.keypoint_scores)
        meta = self.model.dataset_meta
        people = [
            {
                'box': plain_list(np.asarray(found.bboxes[i]).reshape(-1)[:4]),
                'box_score': plain(found.bbox_scores[i]),
                'score': plain(scores[i].mean()),
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
                'x': plain(point[0]),
                'y': plain(point[1]),
                'score': plain(score),
            }
            for i, (point, score) in enumerate(zip(points, scores, strict=True))
        ]


def _is_whole(found: Any, image: ndarray) -> bool:
    height, width = image.shape[:2]
    box = np.asarray(found.bboxes).reshape(-1).tolist()
    return box == [0, 0, width, height] and float(found.bbox_scores[0]) == 1


PREDICTORS = {
    kind.scope: kind
    for kind in (Detector, Segmenter, Classifier, Recognizer, PoseEstimator)
}
