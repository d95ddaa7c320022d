"""Detection as the tools see it: own data, the demo, checks, pictures."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from pycocotools.coco import COCO
from torch import nn

from projects.common.coco_checks import read_annotations
from projects.common.pictures import draw_instances, side_by_side, write_png
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
from projects.det.checks import check_things
from projects.det.coco_folder import LAYOUT, find_splits

QUICK_SIDE = 128  # short side of a quick run's images, pixels
QUICK_STEPS = 240
QUICK_BATCH = 4
QUICK_LR = 3e-4
QUICK_WARMUP = 50  # steps
DRAWN_IMAGES, DRAWN_SCORE = 8, 0.5


class Detection(Task):
    """COCO instances with mmdet's two-stage detectors."""

    name = 'det'
    metrics = {
        'coco/bbox_mAP': 'box AP',
        'coco/bbox_mAP_50': 'box AP50',
        'coco/bbox_mAP_75': 'box AP75',
        'coco/segm_mAP': 'mask AP',
        'coco/segm_mAP_50': 'mask AP50',
        'coco/segm_mAP_75': 'mask AP75',
    }

    def demo_folder(self) -> Path:
        """Generated scenes in COCO's layout."""
        return demo_world('coco', num_train=480)

    def use_folder(self, cfg: Config, folder: Path) -> None:
        """Use a folder laid out like COCO; classes come from its annotations."""
        train, val = find_splits(folder)
        for name, part in (('train', train), ('val', val), ('test', val)):
            for dataset in datasets(cfg, name):
                dataset.update(
                    data_root='',
                    ann_file=str(part.annotations),
                    data_prefix={'img': str(part.images)},
                    metainfo={
                        'classes': part.classes,
                        'palette': _palette(len(part.classes)),
                    },
                )
        for name in ('val_evaluator', 'test_evaluator'):
            set_everywhere(cfg.get(name), 'ann_file', str(val.annotations))
        set_everywhere(cfg.model, 'num_classes', len(train.classes))

    def shrink(self, cfg: Config, side: int | None, steps: int | None) -> None:
        """Small images, few proposals, a short schedule; the same model."""
        side = side or QUICK_SIDE
        for split in ('train', 'val', 'test'):
            for dataset in datasets(cfg, split):
                _scale_pipeline(dataset['pipeline'], side / 800)
            cfg[f'{split}_dataloader'].update(
                batch_size=QUICK_BATCH, num_workers=1, persistent_workers=True
            )
        _use_few_proposals(cfg.model)
        cfg.model.backbone.update(drop_path_rate=0.0, with_cp=False)
        annotations = datasets(cfg, 'train')[0]['ann_file']
        images = len(read_annotations(Path(annotations))['images'])
        epochs = fit_to_steps(cfg, images, QUICK_BATCH, steps or QUICK_STEPS)
        use_short_schedule(cfg, QUICK_LR, QUICK_WARMUP, epochs, max_norm=10.0)
        cfg.default_hooks.logger.interval = 20

    def check_data(self, cfg: Config, splits: tuple[str, ...]) -> None:
        """Check annotations, images and classes of the splits that will be read."""
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
                classes = (dataset.get('metainfo') or {}).get('classes')
                steps = transforms(dataset.get('pipeline', []))
                masks = any(step.get('with_mask') for step in steps)
                check_things(annotations, images, classes, masks, split)

    def draw(self, model: nn.Module, dataset: BaseDataset, folder: Path) -> list[Path]:
        """Predictions beside the truth for the first images of a dataset."""
        folder.mkdir(parents=True, exist_ok=True)
        model.eval()
        names = dataset.metainfo['classes']
        with redirect_stdout(StringIO()):  # pycocotools prints
            truth = COCO(dataset.ann_file)
        labels = {number: label for label, number in enumerate(dataset.cat_ids)}
        files = []
        for index in range(min(DRAWN_IMAGES, len(dataset))):
            with torch.no_grad():
                sample = model.test_step(pseudo_collate([dataset[index]]))[0]
            image = cv2.imread(sample.img_path)
            found = sample.pred_instances.cpu().numpy()
            found = found[found.scores >= DRAWN_SCORE]
            prediction = draw_instances(
                image,
                found.bboxes,
                found.labels,
                names,
                found.masks if 'masks' in found else None,
                found.scores,
            )
            objects = truth.loadAnns(truth.getAnnIds(imgIds=sample.img_id))
            boxes = np.array([thing['bbox'] for thing in objects]).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            real = draw_instances(
                image,
                boxes,
                [labels[thing['category_id']] for thing in objects],
                names,
                np.array([truth.annToMask(thing) for thing in objects], bool),
            )
            files.append(folder / f'{Path(sample.img_path).stem}.png')
            write_png(files[-1], side_by_side(image, prediction, real))
        return files


def _palette(count: int) -> list[tuple[int, int, int]]:
    """Colours that are far apart: hues by the golden ratio."""
    hues = np.arange(count) * 0.618033988749895 % 1 * 6
    table = np.clip(np.abs((hues[:, None] + [0, 4, 2]) % 6 - 3) - 1, 0, 1)
    return [tuple(int(60 + 190 * v) for v in row) for row in table]


def _scale_pipeline(pipeline: list[Any], factor: float) -> None:
    """Scale every size in a pipeline, e.g. Resize to (1333, 800) to (267, 160)."""

    def scaled(size: Any) -> Any:
        if isinstance(size, list):
            return [scaled(item) for item in size]
        return tuple(round(side * factor) for side in size)

    for transform in transforms(pipeline):
        for key in ('scale', 'scales', 'crop_size'):
            if key in transform:
                transform[key] = scaled(transform[key])


def _use_few_proposals(model: ConfigDict) -> None:
    """Most of a two-stage detector's time on small images goes into its RoI heads."""
    train, test = model.train_cfg, model.test_cfg
    train.rpn_proposal.update(nms_pre=200, max_per_img=100)
    test.rpn.update(nms_pre=200, max_per_img=100)
    test.rcnn.max_per_img = 20
    stages = train.rcnn if isinstance(train.rcnn, list) else [train.rcnn]
    for stage in stages:
        stage.sampler.num = 24


TASK = Detection()
