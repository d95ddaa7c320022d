"""Video recognition as the tools see it: own videos, the demo, checks, pictures."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from torch import nn

from projects.common.errors import UserError
from projects.common.pictures import contact_sheet, write_png
from projects.common.task import Task, datasets, fit_to_steps, set_everywhere
from projects.common.world.cache import demo_world
from projects.video.files import read_lines
from projects.video.probe import predict, scores_without_order
from projects.video.video_folder import LAYOUT, find_lists

DEMO = {'num_train': 960, 'num_val': 160, 'size': (64, 80), 'num_frames': 72}
QUICK_SIDE = 32  # of the frames, pixels
QUICK_FRAMES = 8  # of a clip; it spans as much time as before
QUICK_STEPS = 240
QUICK_BATCH = 16
QUICK_LR = 5e-4
QUICK_AREA = (0.6, 1.0)  # of the frame that a training clip shows
DRAWN_CLIPS = 12
LOOKED_AT = 100  # files of a list whose existence is checked before a run
OTHER = {'left': 'right', 'right': 'left'}


class VideoRecognition(Task):
    """Clips with mmaction2's recognizers."""

    name = 'video'
    metrics = {
        'acc/top1': 'top-1',
        'acc/top5': 'top-5',
        'acc/mean1': 'mean of classes',
    }

    def demo_folder(self) -> Path:
        """Generated clips whose class is the motion, listed as Kinetics."""
        return demo_world('kinetics', **DEMO)

    def use_folder(self, cfg: Config, folder: Path) -> None:
        """Use class-named folders of videos, or lists as of Kinetics."""
        lists = find_lists(folder)
        for split in ('train', 'val', 'test'):
            for dataset in datasets(cfg, split):
                for key in ('filename_tmpl', 'start_index', 'labels_in'):
                    dataset.pop(key, None)
                dataset.update(
                    type='VideoListDataset',
                    ann_file=str(lists.train if split == 'train' else lists.val),
                    data_prefix={'video': str(lists.root)},
                    delimiter=',',
                    classes=list(lists.classes),
                )
        set_everywhere(cfg.model, 'num_classes', len(lists.classes))
        pair = mirrored_pair(lists.classes)
        if pair:
            for dataset in datasets(cfg, 'train'):
                _drop(dataset, 'Flip')
            print_log(
                f'no mirroring while training: it would turn {pair[0]!r} into '
                f'{pair[1]!r}',
                logger='current',
            )

    def shrink(self, cfg: Config, side: int | None, steps: int | None) -> None:
        """Few small frames, mild augmentation, a short schedule; the same model."""
        side = side or QUICK_SIDE
        for split in ('train', 'val', 'test'):
            loader = cfg[f'{split}_dataloader']
            loader.update(
                batch_size=QUICK_BATCH, num_workers=1, persistent_workers=True
            )
            for dataset in datasets(cfg, split):
                _shrink_clips(dataset, side)
        cfg.train_dataloader.pop('collate_fn', None)
        cfg.model.data_preprocessor.update(erasing=None, mixing=None)
        cfg.model.backbone.update(drop_path_rate=0.0, with_cp=False)
        [train] = datasets(cfg, 'train')
        videos = len(_read_names(train))
        batch = cfg.train_dataloader.batch_size = min(QUICK_BATCH, max(videos, 2))
        epochs = fit_to_steps(cfg, videos, batch, steps or QUICK_STEPS)
        cfg.train_cfg = ConfigDict(
            type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs
        )
        cfg.optim_wrapper.optimizer = ConfigDict(
            type='AdamW', lr=QUICK_LR, weight_decay=0.05, fused=True
        )
        cfg.param_scheduler = ConfigDict(
            type='WarmupCosineLR', warmup=0.15 * epochs, convert_to_iter_based=True
        )
        cfg.default_hooks.logger.interval = 20

    def be_strict(self, cfg: Config) -> None:
        """End at the first video that cannot be read."""
        for split in ('train', 'val', 'test'):
            for dataset in datasets(cfg, split):
                dataset.strict = True

    def check_data(self, cfg: Config, splits: tuple[str, ...]) -> None:
        """Check that the lists exist, and that their files are where they say."""
        for split in splits:
            for dataset in datasets(cfg, split):
                ann_file, prefix = Path(dataset.ann_file), dataset.data_prefix
                root = Path(prefix.get('video') or prefix.get('img') or '')
                if not ann_file.is_file():
                    raise UserError(_no_lists(ann_file, root))
                names = _read_names(dataset)
                if not names:
                    raise UserError(f'{ann_file}: lists no videos')
                some = names[:: max(len(names) // LOOKED_AT, 1)]
                if not any((root / name).exists() for name in some):
                    raise UserError(
                        f'{root / names[0]}: named in {ann_file}, but not there, '
                        f'nor are {len(some) - 1} others that were looked for; '
                        'data_prefix of the dataset says where they are'
                    )

    def draw(self, model: nn.Module, dataset: BaseDataset, folder: Path) -> list[Path]:
        """Frames of the first clips, with what they are taken for and what they are."""
        folder.mkdir(parents=True, exist_ok=True)
        names = dataset.metainfo['classes']
        files = []
        for index in range(min(DRAWN_CLIPS, len(dataset))):
            item = dataset[index]
            [scores] = predict(model, [item])
            guess, truth = int(scores.argmax()), int(item['data_samples'].gt_label)
            clip = item['inputs'][0].permute(1, 2, 3, 0).numpy()
            verdict = 'correct' if guess == truth else f'wrong: it is {names[truth]}'
            title = f'{names[guess]} ({verdict})'
            files.append(folder / f'{index:06d}.png')
            write_png(files[-1], _strip(clip, title))
        return files

    def probe(self, model: nn.Module, dataset: BaseDataset) -> dict[str, float]:
        """Accuracy without the order of the frames, which shows what was learnt."""
        chance = 1 / len(dataset.metainfo['classes'])
        return {**scores_without_order(model, dataset), 'chance': chance}


def mirrored_pair(classes: Sequence[str]) -> tuple[str, str] | None:
    """Two classes that a mirror swaps, by their names; ``None`` if there are none.

    However the names are written: what counts is that one becomes the other when left
    and right change places in it.

    Examples:
        >>> mirrored_pair(['moving left', 'moving right', 'growing'])
        ('moving left', 'moving right')
    """
    by_letters = {_letters(name): name for name in classes}
    for name in classes:
        swapped = re.sub('left|right', lambda side: OTHER[side[0]], _letters(name))
        other = by_letters.get(swapped)
        if swapped != _letters(name) and other is not None:
            return name, other
    return None


def _letters(name: str) -> str:
    """Letters and digits of any script, in lower case."""
    return re.sub(r'[\W_]', '', name.casefold())


def _drop(dataset: Any, kind: str) -> None:
    dataset.pipeline = [step for step in dataset.pipeline if step['type'] != kind]


def _shrink_clips(dataset: Any, side: int) -> None:
    """Fewer and smaller frames of the same stretch of time, hardly augmented."""
    sample = dataset.sample
    if 'stride' in sample:
        sample.stride = max(1, sample.stride * sample.clip_len // QUICK_FRAMES)
    sample.clip_len = QUICK_FRAMES
    dataset.pop('num_repeats', None)
    _drop(dataset, 'TimmRandAugment')
    for step in dataset.pipeline:
        if step['type'] == 'Resize':
            whole = -1 not in step['scale']
            step['scale'] = (side, side) if whole else (-1, side)
        if 'crop_size' in step:
            step['crop_size'] = side
        if step['type'] == 'TimmResizedCrop':
            step.update(area_range=QUICK_AREA)


def _read_names(dataset: Any) -> list[str]:
    """Names in a dataset's list; the numbers behind them hold no delimiter."""
    frames = dataset.type == 'FrameListDataset'
    delimiter = None if frames else dataset.get('delimiter', ',')
    numbers = 2 if frames else 1
    lines = read_lines(Path(dataset.ann_file))
    return [line.rsplit(delimiter, numbers)[0] for _, line in lines]


def _strip(clip: np.ndarray, title: str) -> np.ndarray:
    """Frames ``(T, H, W, 3)`` RGB in rows of eight, under a title."""
    frames = [np.ascontiguousarray(frame[..., ::-1]) for frame in clip]
    sheet = contact_sheet(frames, columns=8, cell=(160, 160), gap=4)
    band = np.full((36, sheet.shape[1], 3), 255, np.uint8)
    font, ink = cv2.FONT_HERSHEY_SIMPLEX, (40, 40, 40)
    cv2.putText(band, title, (8, 25), font, 0.7, ink, 1, cv2.LINE_AA)
    return np.vstack([band, sheet])


def _no_lists(ann_file: Path, root: Path) -> str:
    return (
        f'{ann_file}: no such list of videos. tools/prepare_video.py writes it; '
        'projects/video/DATA.md says what goes where.\n'
        'Your own videos: --data FOLDER, laid out as\n'
        f'{LAYOUT.format(root="FOLDER")}\n'
        'or add --demo for a short run on generated data.'
    )


TASK = VideoRecognition()
