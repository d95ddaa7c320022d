"""Classification as the tools see it: own images, the demo, checks, pictures."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import nn

from projects.cls.image_folder import (
    LAYOUT,
    check_images,
    find_images,
    read_image_folder,
    read_image_list,
    write_image_lists,
)
from projects.cls.token_folder import (
    check_label_maps,
    label_loaders,
    use_label_maps,
)
from projects.common.errors import UserError
from projects.common.pictures import contact_sheet, write_png
from projects.common.task import (
    Task,
    datasets,
    fit_to_steps,
    set_everywhere,
    transforms,
)
from projects.common.world.cache import demo_world

QUICK_SIDE = 64  # of a quick run's images, pixels
QUICK_STEPS = 600
QUICK_BATCH = 16
QUICK_LR = 2e-3
# Layer scales start at 1e-6 and grow by about the rate per step: at the common rate
# a short run would end before its blocks take part.
QUICK_SCALE_RATE = 10.0
QUICK_AREA = (0.7, 1.0)  # of the image that a training crop shows
TOP5_CLASSES = 6  # from here on the top 5 says something
DRAWN_IMAGES = 24


class Classification(Task):
    """Images with mmpretrain's classifiers."""

    name = 'cls'
    metrics = {'accuracy/top1': 'top-1 (%)', 'accuracy/top5': 'top-5 (%)'}

    def demo_folder(self) -> Path:
        """Generated pictures of one object, in class folders."""
        return demo_world('imagenet')

    def use_folder(self, cfg: Config, folder: Path) -> None:
        """Use images in class folders; the classes are the folders' names."""
        folders = read_image_folder(folder)
        train, val = write_image_lists(folders)
        for split, file in (('train', train), ('val', val), ('test', val)):
            for dataset in datasets(cfg, split):
                dataset.pop('split', None)
                dataset.update(
                    type='CustomDataset',
                    data_root=str(folders.root),
                    data_prefix='',
                    ann_file=str(file.absolute()),
                    metainfo={'classes': folders.classes},
                )
        count = len(folders.classes)
        set_everywhere(cfg.model, 'num_classes', count)
        for name in ('val_evaluator', 'test_evaluator'):
            topk = (1, 5) if count >= TOP5_CLASSES else (1,)
            set_everywhere(cfg.get(name), 'topk', topk)
        use_label_maps(cfg, folders.root, count)

    def shrink(self, cfg: Config, side: int | None, steps: int | None) -> None:
        """Small images, hardly augmented, a short schedule; the same model."""
        side = side or QUICK_SIDE
        for split in ('train', 'val', 'test'):
            cfg[f'{split}_dataloader'].update(
                batch_size=QUICK_BATCH,
                num_workers=1,
                persistent_workers=True,
                pin_memory=False,
            )
            for dataset in datasets(cfg, split):
                _shrink_pipeline(dataset, side)
        loader = cfg.train_dataloader
        loader.sampler = ConfigDict(type='DefaultSampler', shuffle=True)
        cfg.model.data_preprocessor.update(erasing=None, mixing=None)
        cfg.model.backbone.update(drop_path_rate=0.0, with_cp=False)
        if (cfg.model.get('init_cfg') or {}).get('type') != 'Pretrained':
            # Convolutions of OpenMixup's deviation, 0.02, need many epochs to grow.
            cfg.model.init_cfg = None
        # An average over tens of thousands of steps would still be the first weights.
        cfg.custom_hooks = [
            hook for hook in cfg.get('custom_hooks', []) if 'EMA' not in hook['type']
        ]
        images = sum(len(_images(dataset)) for dataset in datasets(cfg, 'train'))
        loader.batch_size = min(QUICK_BATCH, max(images, 2))
        epochs = fit_to_steps(cfg, images, loader.batch_size, steps or QUICK_STEPS)
        cfg.train_cfg = ConfigDict(
            type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs
        )
        cfg.optim_wrapper.optimizer = ConfigDict(
            type='AdamW', lr=QUICK_LR, weight_decay=0.05, fused=True
        )
        rules = cfg.optim_wrapper.setdefault('paramwise_cfg', ConfigDict())
        rules.setdefault('custom_keys', ConfigDict())['gamma'] = ConfigDict(
            lr_mult=QUICK_SCALE_RATE, decay_mult=0.0
        )
        cfg.optim_wrapper.clip_grad = ConfigDict(max_norm=5.0)
        cfg.param_scheduler = ConfigDict(
            type='TimmCosineLR',
            total=epochs,
            warmup=0.1 * epochs,
            start_lr=QUICK_LR / 100,
            eta_min=QUICK_LR / 100,
            convert_to_iter_based=True,
        )
        cfg.default_hooks.logger.interval = 20

    def check_data(self, cfg: Config, splits: tuple[str, ...]) -> None:
        """Check folders, classes and images of the splits that will be read."""
        for split in splits:
            for dataset in datasets(cfg, split):
                images = _images(dataset)
                check_images(images, split)
                _check_classes(cfg, dataset, split)
                if split == 'train':
                    for loader in label_loaders(cfg):
                        check_label_maps(loader.root, images, loader.num_classes)

    def draw(self, model: nn.Module, dataset: BaseDataset, folder: Path) -> list[Path]:
        """One sheet of held-out images: what they are taken for, mistakes marked."""
        folder.mkdir(parents=True, exist_ok=True)
        model.eval()
        names = dataset.metainfo['classes']
        count = min(DRAWN_IMAGES, len(dataset))
        pictures, titles = [], []
        for index in np.linspace(0, len(dataset) - 1, count).round().astype(int):
            with torch.no_grad():
                [sample] = model.test_step(pseudo_collate([dataset[int(index)]]))
            guess = int(sample.pred_label)
            truth = int(sample.gt_label)
            score = float(sample.pred_score[guess])
            title = f'{names[guess]} {score:.2f}'
            titles.append(
                title if guess == truth else f'{names[guess]} != {names[truth]}'
            )
            pictures.append(cv2.imread(sample.img_path))
        file = folder / 'predictions.png'
        write_png(
            file,
            contact_sheet(
                pictures, columns=4, cell=(300, 300), titles=_shorten(titles)
            ),
        )
        return [file]


def _images(dataset: Any) -> list[Path]:
    """Paths of the images of a dataset of mmpretrain's, by list or by folder.

    Raises:
        UserError: there is no list or no class folder.
    """
    root = Path(dataset.get('data_root') or '')
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    folder = root / (prefix if isinstance(prefix, str) else prefix['img_path'])
    file = root / (dataset.get('ann_file') or f'meta/{dataset.get("split")}.txt')
    if file.is_file():
        return [folder / name for name, _ in read_image_list(file)]
    if dataset.get('ann_file'):
        raise UserError(f'{file}: no such list of images')
    images = find_images(folder) if folder.is_dir() else []
    if not images:
        what = 'holds no images' if folder.is_dir() else 'no such folder'
        raise UserError(
            f'{folder}: {what}. Lay ImageNet out as\n'
            f'  {root}/train/n01440764/*.JPEG and {root}/val/n01440764/*.JPEG\n'
            'or name your own folder with --data FOLDER,\n'
            f'{LAYOUT.format(root="FOLDER")}\n'
            'or add --demo for a short run on generated images.'
        )
    return images


def _check_classes(cfg: Config, dataset: Any, split: str) -> None:
    """Compare the number of class folders with that of the model's classes."""
    if dataset.get('ann_file') or not dataset.get('split'):
        return
    folder = Path(dataset.data_root) / dataset.split
    found = sum(part.is_dir() for part in folder.iterdir())
    wanted = cfg.model.head.num_classes
    if found != wanted and not (folder.parent / f'meta/{split}.txt').is_file():
        raise UserError(
            f'{folder}: {found} class folders, but the model has {wanted} classes; '
            f'--data {folder.parent} takes the classes from the folders'
        )


def _shrink_pipeline(dataset: Any, side: int) -> None:
    """Scale the sizes of a pipeline; crop gently, and leave colours as they are."""
    dataset.pipeline = [
        step for step in dataset.pipeline if step['type'] != 'TimmImageAugment'
    ]
    steps = transforms(dataset.pipeline)
    whole = next((s.crop_size for s in steps if s['type'] == 'CenterCrop'), None)
    for step in steps:
        if 'crop_ratio_range' in step:
            step.update(scale=side, crop_ratio_range=QUICK_AREA)
        elif step['type'] == 'ResizeEdge' and whole:
            step.scale = int(step.scale * side / whole)
    for step in steps:
        if step['type'] == 'CenterCrop':
            step.crop_size = side


def _shorten(titles: list[str], longest: int = 29) -> list[str]:
    return [t if len(t) <= longest else f'{t[: longest - 2]}..' for t in titles]


TASK = Classification()
