"""Poses as the tools see them: own data, the demo, checks, pictures."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import DATASETS, DefaultScope
from torch import nn

from projects.common.coco_checks import read_annotations
from projects.common.errors import UserError
from projects.common.overlays import draw_poses
from projects.common.pictures import side_by_side, write_png
from projects.common.task import (
    Task,
    datasets,
    fit_to_steps,
    no_data,
    set_everywhere,
    transforms,
    use_short_schedule,
)
from projects.common.world.cache import demo_world
from projects.det.coco_folder import find_splits
from projects.pose.checks import (
    check_detections,
    check_people,
    counts,
    find_skeleton,
    has_area,
)

LAYOUT = """  {root}/annotations/person_keypoints_train2017.json   (or train.json)
  {root}/annotations/person_keypoints_val2017.json     (or val.json)
  {root}/train2017/*.jpg                               (or train/, or images/)
  {root}/val2017/*.jpg                                 (or val/, or images/)"""
ANNOTATIONS = (
    'annotations/person_keypoints_{split}2017.json',
    'annotations/person_keypoints_{split}.json',
    'annotations/{split}.json',
    '{split}.json',
    '{split}/_annotations.coco.json',
)
STRIDE = 32  # of the backbone; both sides of a crop are multiples of it
QUICK_SIDE = 96  # short side of a quick run's crops, pixels
QUICK_STEPS = 950
QUICK_BATCH = 8
QUICK_LR = 1e-3
QUICK_SCALE, QUICK_TURN = 0.1, 8.0  # sigmas of factor and degrees
QUICK_SIGMA = 1.5  # of a heatmap at least, in its pixels: smaller spots teach slowly
DRAWN_IMAGES, DRAWN_SCORE = 8, 0.2


class Pose(Task):
    """Keypoints of one person at a time, with mmpose's top-down heatmaps."""

    name = 'pose'
    metrics = {
        'coco/AP': 'AP',
        'coco/AP .5': 'AP50',
        'coco/AP .75': 'AP75',
        'coco/AR': 'AR',
    }

    def demo_folder(self) -> Path:
        """Generated people in COCO's layout."""
        return demo_world('people')

    def use_folder(self, cfg: Config, folder: Path) -> None:
        """Use a folder laid out like COCO, its true boxes, and the json's skeleton."""
        train, val = find_splits(folder, ANNOTATIONS, LAYOUT)
        skeleton, notes = find_skeleton(train.annotations)
        for note in notes:
            print_log(f'{train.annotations}: {note}', logger='current')
        if not skeleton.upper:
            print_log(
                f'{train.annotations}: not the keypoints of COCO, so which are upper '
                'and lower body is unknown: no half-body augmentation',
                logger='current',
            )
        for name, part in (('train', train), ('val', val), ('test', val)):
            for dataset in datasets(cfg, name):
                dataset.pop('bbox_file', None)
                dataset.update(
                    type='KeypointDataset',
                    data_root='',
                    ann_file=str(part.annotations),
                    data_prefix={'img': str(part.images)},
                    metainfo=skeleton.to_config(),
                )
        for name in ('val_evaluator', 'test_evaluator'):
            set_everywhere(cfg.get(name), 'ann_file', str(val.annotations))
        people = read_annotations(val.annotations)['annotations']
        if not all(map(has_area, people)):
            print_log(
                f'{val.annotations}: not all have an area; 0.53 of each box counts as '
                'the area in OKS',
                logger='current',
            )
            for name in ('val_evaluator', 'test_evaluator'):
                cfg[name].use_area = False
        cfg.model.head.out_channels = len(skeleton.keypoints)

    def shrink(self, cfg: Config, side: int | None, steps: int | None) -> None:
        """Small crops, little augmentation, a short schedule; the same model."""
        _scale_codec(cfg, side or QUICK_SIDE)
        for split in ('train', 'val', 'test'):
            workers = {'num_workers': 1, 'persistent_workers': True}
            cfg[f'{split}_dataloader'].update(workers)
        cfg.train_dataloader.batch_size = QUICK_BATCH
        for dataset in datasets(cfg, 'train'):
            dataset.pipeline = [_soften(step) for step in dataset.pipeline]
        cfg.model.backbone.update(drop_path_rate=0.0, with_cp=False)
        dataset = datasets(cfg, 'train')[0]
        file = Path(dataset.get('data_root') or '') / dataset.ann_file
        people = sum(map(counts, read_annotations(file)['annotations']))
        steps = steps or QUICK_STEPS
        epochs = fit_to_steps(cfg, max(1, people), QUICK_BATCH, steps)
        warmup = max(2, min(50, steps // 5))
        use_short_schedule(cfg, QUICK_LR, warmup, epochs, max_norm=1.0)
        cfg.default_hooks.logger.interval = max(1, min(20, steps // 3))
        cfg.default_hooks.checkpoint.pop('save_best', None)  # tested once, at the end

    def check_data(self, cfg: Config, splits: tuple[str, ...]) -> None:
        """Check annotations, images and boxes of the splits that will be read."""
        for split in splits:
            for dataset in datasets(cfg, split):
                root = Path(dataset.get('data_root') or '')
                annotations = root / dataset['ann_file']
                if not annotations.is_file():
                    raise no_data(
                        f'{annotations}: no such annotation file',
                        LAYOUT.format(root=root),
                    )
                images = root / dataset.get('data_prefix', {}).get('img', '')
                names = _keypoint_names(cfg, dataset)
                check_people(annotations, images, names, split)
                if dataset.get('bbox_file'):
                    check_detections(Path(dataset.bbox_file))
                if cfg.model.head.get('out_channels') != len(names):
                    raise UserError(
                        f'head.out_channels is {cfg.model.head.out_channels}, but the '
                        f'data set has {len(names)} keypoints ({split}); --data FOLDER '
                        'sets both'
                    )

    def draw(self, model: nn.Module, dataset: BaseDataset, folder: Path) -> list[Path]:
        """Skeletons beside the truth for the first images of a dataset."""
        folder.mkdir(parents=True, exist_ok=True)
        model.eval()
        people: dict[str, list[int]] = {}
        for index in range(len(dataset)):
            path = dataset.get_data_info(index)['img_path']
            if path not in people and len(people) == DRAWN_IMAGES:
                break
            people.setdefault(path, []).append(index)
        truth = read_annotations(Path(dataset.ann_file))
        files = []
        for path, indices in people.items():
            batch = pseudo_collate([dataset[index] for index in indices])
            with torch.no_grad():
                samples = model.test_step(batch)
            found = [sample.pred_instances for sample in samples]
            image = cv2.imread(path)
            points = np.array([person.keypoints[0] for person in found])
            scores = np.array([person.keypoint_scores[0] for person in found])
            real = np.array(
                [
                    thing['keypoints']
                    for thing in truth['annotations']
                    if thing['image_id'] == samples[0].img_id and counts(thing)
                ]
            ).reshape(-1, points.shape[1], 3)
            overlays = (
                draw_poses(image, *part, dataset.metainfo, DRAWN_SCORE)
                for part in ((points, scores), (real[..., :2], real[..., 2]))
            )
            files.append(folder / f'{Path(path).stem}.png')
            write_png(files[-1], side_by_side(image, *overlays))
        return files


def _scale_codec(cfg: Config, side: int) -> None:
    """Scale the crop, the heatmap and its sigma to a short side in pixels.

    Maxima are found between pixels (arXiv:1910.06278): a pixel of so small a heatmap is
    larger than the errors that the metric forgives.
    """
    codec = cfg.model.head.decoder
    full = codec.input_size
    factor = side / min(full)
    size = tuple(max(1, round(edge * factor / STRIDE)) * STRIDE for edge in full)
    shrink = full[0] // codec.heatmap_size[0]
    scaled = ConfigDict(
        codec,
        input_size=size,
        heatmap_size=tuple(edge // shrink for edge in size),
        sigma=max(codec.sigma * factor, QUICK_SIGMA),
        unbiased=True,
    )
    cfg.model.head.decoder = scaled
    for split in ('train', 'val', 'test'):
        for dataset in datasets(cfg, split):
            for step in transforms(dataset.pipeline):
                if 'input_size' in step:
                    step.input_size = size
                if 'encoder' in step:
                    step.encoder = scaled


def _soften(step: ConfigDict) -> ConfigDict:
    """Augment less: what varies less is learned in fewer steps."""
    if step.type == 'ClippedBoxTransform':
        step.update(scale_sigma=QUICK_SCALE, rotate_sigma=QUICK_TURN)
    elif step.type == 'RandomHalfBody':
        step.prob = 0.0
    return step


def _keypoint_names(cfg: Config, settings: ConfigDict) -> tuple[str, ...]:
    listed = {**settings, 'pipeline': [], 'lazy_init': True}
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        meta: dict[str, Any] = DATASETS.build(listed).metainfo
    return tuple(meta['keypoint_id2name'].values())


TASK = Pose()
