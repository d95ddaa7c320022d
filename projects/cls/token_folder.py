"""Label maps as the tools see them: found beside the images, checked, generated.

A folder of one's own has its maps in ``FOLDER/label_maps/CLASS/IMAGE_STEM.pt``, as
``tools/make_label_maps.py`` writes them. Those of the demo are made from what is known
when its pictures are drawn: see :func:`write_demo_maps`.
"""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from numpy import ndarray
from rich.console import Console
from rich.progress import track
from torch import Tensor

from projects.cls.label_map import label_map_path, read_label_map, write_label_map
from projects.common.errors import UserError
from projects.common.task import datasets, transforms
from projects.common.world.cache import MARKER
from projects.common.world.imagenet import IMAGE_CLASSES, draw_object

FOLDER = 'label_maps'
DEMO_CELLS = 8  # rows and columns of a demo map
DEMO_LOGIT = 20.0


def label_loaders(cfg: Config) -> list[Any]:
    """``LoadLabelMap`` of every training set; none without token labeling."""
    return [
        transform
        for dataset in datasets(cfg, 'train')
        for transform in transforms(dataset['pipeline'])
        if transform['type'] == 'LoadLabelMap'
    ]


def use_label_maps(cfg: Config, folder: Path, num_classes: int) -> None:
    """Point token labeling at the maps of a folder; a demo's are made when missing.

    Args:
        cfg: a config; nothing happens if it has no token labeling.
        folder: with ``label_maps`` in it, or a demo world.
        num_classes: of the folder.
    """
    loaders = label_loaders(cfg)
    if loaders and (folder / MARKER).is_file():
        write_demo_maps(folder)
    for loader in loaders:
        loader.update(root=str(folder / FOLDER), num_classes=num_classes)


def check_label_maps(root: str | Path, images: list[Path], num_classes: int) -> None:
    """Find missing and wrong maps before the first step.

    Every file must exist; the first is read as well.

    Args:
        root: of the maps.
        images: of the training set.
        num_classes: of the model.

    Raises:
        UserError: in one line, with how to make the maps.
    """
    paths = [label_map_path(root, image) for image in images]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(
            f'{root}: {len(missing)} of {len(paths)} label maps are missing, the first '
            f'is {missing[0].relative_to(root)}; make them with '
            'tools/make_label_maps.py CONFIG CHECKPOINT --data FOLDER --out '
            f'{root}'
        )
    for path in paths[:1]:
        read_label_map(path, num_classes)


def write_demo_maps(world: Path) -> None:
    """Write the maps of a demo world's training images, unless they are there.

    They come from the masks that the pictures were drawn with, so they are what a
    perfect teacher would see: the logit of a place's class is ``DEMO_LOGIT`` times the
    share of the place that the object covers, all other logits are 0. Where only
    background shows, every class is as likely as any other.

    Args:
        world: folder of ``demo_world('imagenet', ...)``.

    Raises:
        OSError: the folder cannot be written.
    """
    final = world / FOLDER
    if final.is_dir():
        return
    params = json.loads((world / MARKER).read_text())['params']
    labels = {name: i for i, name in enumerate(sorted(IMAGE_CLASSES))}
    draft = world / f'.{FOLDER}.{uuid.uuid4().hex}'
    size = params['size'] if isinstance(params['size'], int) else tuple(params['size'])
    console = Console(stderr=True)
    try:
        for index in track(
            range(params['num_train']),
            'demo data: label maps',
            console=console,
            transient=True,
            disable=not console.is_terminal,
        ):
            name = IMAGE_CLASSES[index % len(IMAGE_CLASSES)]
            mask = draw_object(params['seed'], 'train', index, size).labels > 0
            logits = mask_logits(mask, labels[name], len(labels))
            write_label_map(draft / name / f'{index:06d}.pt', logits)
        draft.rename(final)
    except OSError:
        if not final.is_dir():  # else another process was first
            raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def mask_logits(mask: ndarray, label: int, num_classes: int) -> Tensor:
    """Logits of a class where its mask is.

    Shape:
        ``(H, W)`` bool to ``(num_classes, 8, 8)`` float32.
    """
    cells = (DEMO_CELLS, DEMO_CELLS)
    share = cv2.resize(mask.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    logits = torch.zeros(num_classes, *cells)
    logits[label] = DEMO_LOGIT * torch.from_numpy(share)
    return logits
