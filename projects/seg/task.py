"""Segmentation as the tools see it: own data, the demo, checks, pictures."""

from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.registry import DATASETS, DefaultScope
from mmseg.datasets import BaseSegDataset
from mmseg.evaluation import IoUMetric
from torch import Tensor, nn

from projects.common.errors import UserError
from projects.common.overlays import draw_segments
from projects.common.pictures import class_color, side_by_side, write_png
from projects.common.task import Task, datasets, no_data, set_everywhere, transforms
from projects.common.world.cache import demo_world
from projects.seg.checks import check_classes, check_masks
from projects.seg.class_list import ClassList
from projects.seg.loading import IGNORED
from projects.seg.mask_folder import LAYOUT, find_masks
from projects.seg.pictures import draw_class_ious

FULL_SIDE = 512  # short side that the recipes' sizes are for, pixels
QUICK_SIDE = 64
# A step of UPerNet takes five times as long as one of Semantic FPN.
QUICK_STEPS, QUICK_FPN_STEPS = 260, 500
QUICK_BATCH = 4
QUICK_LR = 5e-4
QUICK_RATIOS = (0.75, 1.5)
QUICK_CHECKPOINTS = 3
DRAWN_IMAGES, COUNTED_IMAGES = 8, 100
# Of masks; the others than mmseg's are in the configs that runs write.
LOADERS = ('LoadAnnotations', 'LoadLabelMask', 'LoadColorMask')


class Segmentation(Task):
    """A class for every pixel, with mmseg's encoders and decoders."""

    name = 'seg'
    metrics = {
        'mIoU': 'mean IoU (%)',
        'mAcc': 'mean class accuracy (%)',
        'aAcc': 'pixel accuracy (%)',
    }

    def demo_folder(self) -> Path:
        """Generated landscapes in ADE20K's layout."""
        return demo_world('ade20k')

    def use_folder(self, cfg: Config, folder: Path) -> None:
        """Use a folder of images and masks; classes come from its ``classes.txt``."""
        found = find_masks(folder)
        for split, part in (
            ('train', found.train),
            ('val', found.val),
            ('test', found.val),
        ):
            for dataset in datasets(cfg, split):
                dataset.update(
                    data_root='',
                    data_prefix={
                        'img_path': str(part.images),
                        'seg_map_path': str(part.masks),
                    },
                )
                if found.classes is not None:
                    _use_classes(dataset, found.classes)
        if found.classes is not None:
            _use_colors(cfg.get('tta_pipeline') or [], found.classes)
            set_everywhere(cfg.model, 'num_classes', len(found.classes.names))
            _import_own(cfg)

    def shrink(self, cfg: Config, side: int | None, steps: int | None) -> None:
        """Small images, a short schedule in iterations; the same model."""
        side = side or QUICK_SIDE
        has_fpn = cfg.model.get('neck') is not None
        steps = steps or (QUICK_FPN_STEPS if has_fpn else QUICK_STEPS)
        factor = side / FULL_SIDE
        for split in ('train', 'val', 'test'):
            for dataset in datasets(cfg, split):
                _shorten(dataset['pipeline'])
                _scale_sizes(transforms(dataset['pipeline']), factor)
            workers = {'num_workers': 1, 'persistent_workers': True}
            cfg[f'{split}_dataloader'].update(workers)
        cfg.train_dataloader.batch_size = QUICK_BATCH
        if cfg.get('tta_pipeline'):
            _scale_sizes(transforms(cfg.tta_pipeline), factor)
        _scale_sizes([cfg.model.test_cfg], factor)  # windows of slide inference
        _scale_sizes([cfg.model.data_preprocessor], factor)
        cfg.model.backbone.update(drop_path_rate=0.0, with_cp=False)
        cfg.train_cfg = ConfigDict(
            type='IterBasedTrainLoop', max_iters=steps, val_interval=steps
        )
        cfg.optim_wrapper.optimizer = ConfigDict(
            type='AdamW', lr=QUICK_LR, weight_decay=0.05, fused=True
        )
        cfg.optim_wrapper.clip_grad = ConfigDict(max_norm=10.0)
        warmup = max(1, min(50, steps // 5))
        cfg.param_scheduler = [
            ConfigDict(type='LinearLR', start_factor=0.01, by_epoch=False, end=warmup),
            ConfigDict(
                type='CosineAnnealingLR',
                eta_min=QUICK_LR / 100,
                by_epoch=False,
                T_max=steps,
            ),
        ]
        cfg.default_hooks.checkpoint.interval = -(-steps // QUICK_CHECKPOINTS)
        cfg.default_hooks.logger.interval = max(1, min(20, steps // 3))

    def check_data(self, cfg: Config, splits: tuple[str, ...]) -> None:
        """Open every image and mask of the splits that will be read."""
        for split in splits:
            for dataset in datasets(cfg, split):
                _check(cfg, dataset, split)

    def draw(self, model: nn.Module, dataset: BaseDataset, folder: Path) -> list[Path]:
        """The first images' predictions beside the truth, and the IoU of each class."""
        folder.mkdir(parents=True, exist_ok=True)
        model.eval()
        names = list(dataset.metainfo['classes'])
        shown = names + ['ignored'] * (IGNORED + 1 - len(names))
        files, areas = [], []
        counted = min(COUNTED_IMAGES, len(dataset))
        for index in range(counted):
            with torch.no_grad():
                [sample] = model.test_step(pseudo_collate([dataset[index]]))
            labels, truth = (
                _plane(part.data) for part in (sample.pred_sem_seg, sample.gt_sem_seg)
            )
            areas.append(
                IoUMetric.intersect_and_union(labels, truth, len(names), IGNORED)
            )
            if index >= DRAWN_IMAGES:
                continue
            image = cv2.imread(sample.img_path)
            overlays = (
                draw_segments(image, part.numpy(), shown) for part in (labels, truth)
            )
            files.append(folder / f'{Path(sample.img_path).stem}.png')
            write_png(files[-1], side_by_side(image, *overlays))
        intersect, union = (sum(parts) for parts in list(zip(*areas, strict=True))[:2])
        title = f'{counted} of {len(dataset)} validation images'
        file = folder / 'class_iou.png'
        return [
            *files,
            draw_class_ious((intersect / union).numpy(), names, title, file),
        ]


def _plane(labels: Tensor) -> Tensor:
    """``(H, W)`` of ``(1, H, W)``, or of what multi-scale tests give, ``(H, W)``."""
    return labels.reshape(labels.shape[-2:]).cpu()


def _use_classes(dataset: ConfigDict, classes: ClassList) -> None:
    palette = classes.colors or [
        class_color(i)[::-1] for i in range(len(classes.names))
    ]
    dataset.update(
        type='ImagesWithMasks',
        metainfo={'classes': classes.names, 'palette': [tuple(c) for c in palette]},
        reduce_zero_label=classes.first_is_nothing,
    )
    _use_colors(dataset.pipeline, classes)


def _use_colors(pipeline: Any, classes: ClassList) -> None:
    """Load masks of labels or of colours, as the class list says."""
    for step in transforms(pipeline):
        if step['type'] not in LOADERS:
            continue
        for key in ('reduce_zero_label', 'labels', 'colors', 'ignored'):
            step.pop(key, None)  # the data set says the first
        if classes.colors:
            colors = {'colors': classes.colors, 'ignored': classes.ignored}
            step.update(type='LoadColorMask', **colors)
        else:
            labels = len(classes.names) + classes.first_is_nothing
            step.update(type='LoadLabelMask', labels=labels)


def _import_own(cfg: Config) -> None:
    """Name what registers the data set, also for those who read the config later."""
    own = cfg.get('custom_imports') or {}
    names = own.get('imports') or []
    names = [names] if isinstance(names, str) else names
    cfg.custom_imports = {**own, 'imports': [*dict.fromkeys([*names, 'projects.seg'])]}


def _shorten(pipeline: list[Any]) -> None:
    """Augment less: what varies less is learned in fewer steps."""
    pipeline[:] = [step for step in pipeline if step.type != 'PhotoMetricDistortion']
    for step in pipeline:
        if 'ratio_range' in step:
            step.ratio_range = QUICK_RATIOS


def _scale_sizes(steps: list[Any], factor: float) -> None:
    """Scale every size among some settings, e.g. (2048, 512) to (512, 128)."""
    for step in steps:
        for key in ('scale', 'size', 'crop_size', 'stride'):
            if step.get(key) is not None:
                step[key] = tuple(round(side * factor) for side in step[key])


def _check(cfg: Config, settings: ConfigDict, split: str) -> None:
    """Check the images and masks of one data set.

    Raises:
        UserError: in one line, in a few where there is no data at all.
    """
    steps = transforms(settings.get('pipeline', []))
    listed = {**settings, 'pipeline': [], 'lazy_init': True}
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        dataset = DATASETS.build(listed)
    if not isinstance(dataset, BaseSegDataset):
        return
    root = dataset.data_root or Path(dataset.data_prefix['img_path']).parent
    for key in ('img_path', 'seg_map_path'):
        folder = Path(dataset.data_prefix.get(key) or '')
        if not folder.is_dir():
            raise no_data(f'{folder}: no such folder', LAYOUT.format(root=root))
    items = dataset.load_data_list()
    if not items:
        raise UserError(
            f'{dataset.data_prefix["img_path"]}: holds no images with the suffix that '
            f'{settings["type"]} reads ({split})'
        )
    classes = len(dataset.metainfo['classes'])
    for head in ('decode_head', 'auxiliary_head'):
        settings = cfg.model.get(head) or []
        for part in settings if isinstance(settings, list) else [settings]:
            if part.num_classes != classes:
                raise UserError(
                    f'{head}.num_classes is {part.num_classes}, but the data set has '
                    f'{classes} classes ({split}); --data FOLDER sets both'
                )
    colored = [step for step in steps if 'colors' in step]
    colors = [*colored[0]['colors'], *colored[0]['ignored']] if colored else []
    names = _names_of_labels(dataset)
    if colored:
        names = [*dataset.metainfo['classes'], *[None] * len(colored[0]['ignored'])]
    seen = check_masks(items, len(names), colors, split)
    check_classes(seen, names, Path(dataset.data_prefix['seg_map_path']), split)


def _names_of_labels(dataset: BaseSegDataset) -> list[str | None]:
    """Class of each label in the masks, ``None`` for a label that is no class."""
    names = dict(enumerate(dataset.metainfo['classes']))
    # Where some of the data set's classes are trained: new labels by old ones.
    places = dataset.label_map or {label: label for label in names}
    listed = [names.get(places[label]) for label in sorted(places)]
    return [None] * bool(dataset.reduce_zero_label) + listed


TASK = Segmentation()
