"""A folder of COCO-style data: where its annotations, images and classes are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from projects.common.coco_checks import read_annotations
from projects.common.errors import UserError

LAYOUT = """  {root}/annotations/instances_train2017.json   (or train.json)
  {root}/annotations/instances_val2017.json     (or val.json)
  {root}/train2017/*.jpg                        (or train/, or images/)
  {root}/val2017/*.jpg                          (or val/, or images/)"""
ANNOTATIONS = (
    'annotations/instances_{split}2017.json',
    'annotations/{split}.json',
    'annotations/instances_{split}.json',
    '{split}.json',
    '{split}/_annotations.coco.json',
)
SPLITS = {'train': ('train',), 'val': ('val', 'valid')}
IMAGES = (
    '{split}2017',
    '{split}',
    'images/{split}2017',
    'images/{split}',
    'images',
    '.',
)


@dataclass(frozen=True)
class CocoSplit:
    """One split of a folder.

    Attributes:
        annotations: the json file.
        images: folder that the file names in it are relative to.
        classes: category names in the order of the file.
    """

    annotations: Path
    images: Path
    classes: tuple[str, ...]


def find_splits(
    root: Path, names: Sequence[str] = ANNOTATIONS, layout: str = LAYOUT
) -> tuple[CocoSplit, CocoSplit]:
    """Training and validation split of a folder laid out like COCO.

    A folder with a single annotation file and no split is trained and evaluated on the
    same images; the log says so.

    Args:
        root: the folder.
        names: where the annotations of a ``{split}`` may be, the first found counts.
        layout: what to say where they are not, with a ``{root}``.

    Raises:
        UserError: the annotations or the images are not where they are looked for, or
            the two splits have other classes.
    """
    if not root.is_dir():
        raise UserError(f'{root}: no such folder; expected\n{layout.format(root=root)}')
    train_file, val_file = (
        _annotations(root, split, names) for split in ('train', 'val')
    )
    if train_file is None and val_file is None:
        single = [*root.glob('*.json'), *root.glob('annotations/*.json')]
        if len(single) != 1:
            raise UserError(
                f'{root}: no train annotations; expected\n{layout.format(root=root)}'
            )
        print_log(
            f'{root}: one annotation file, {single[0].name}: training and testing on '
            'the same images',
            logger='current',
        )
        split = _read_split(single[0], root, 'train', layout)
        return split, split
    for name, file in (('train', train_file), ('val', val_file)):
        if file is None:
            raise UserError(
                f'{root}: no {name} annotations; expected\n{layout.format(root=root)}'
            )
    train = _read_split(train_file, root, 'train', layout)
    val = _read_split(val_file, root, 'val', layout)
    if train.classes != val.classes:
        raise UserError(
            f'{val.annotations}: its classes, or their order, differ from those of '
            f'{train.annotations}'
        )
    return train, val


def _annotations(root: Path, split: str, names: Sequence[str]) -> Path | None:
    words = SPLITS[split]
    files = [root / name.format(split=word) for word in words for name in names]
    return next((path for path in files if path.is_file()), None)


def _read_split(annotations: Path, root: Path, split: str, layout: str) -> CocoSplit:
    content = read_annotations(annotations)
    name = content['images'][0]['file_name']
    folders = [root / p.format(split=word) for word in SPLITS[split] for p in IMAGES]
    folders = list(dict.fromkeys(folders))
    images = next((folder for folder in folders if (folder / name).is_file()), None)
    if images is None:
        raise UserError(
            f'{annotations}: its first image, {name}, is in none of '
            f'{", ".join(map(str, folders))}; expected\n{layout.format(root=root)}'
        )
    # In the order of the file: so mmdet gives labels, whatever the ids.
    return CocoSplit(
        annotations, images, tuple(c['name'] for c in content['categories'])
    )


def check_split(
    annotations: Path, images: Path, classes: tuple[str, ...] | None, where: str
) -> dict[str, Any]:
    """Check one split before training: files, images, classes.

    Args:
        annotations: COCO json.
        images: folder of the images it names.
        classes: names the config trains; ``None`` for the dataset's own.
        where: what the message calls this split.

    Returns:
        What the json file holds.

    Raises:
        UserError: in one line.
    """
    content = read_annotations(annotations)
    names = [image['file_name'] for image in content['images']]
    missing = [name for name in names if not (images / name).is_file()]
    if missing:
        raise UserError(
            f'{images}: {len(missing)} of the {len(names)} images of {annotations} are '
            f'missing, the first is {missing[0]} ({where})'
        )
    known = {category['name'] for category in content['categories']}
    unknown = [name for name in classes or () if name not in known]
    if unknown:
        raise UserError(
            f'{annotations}: has no class {", ".join(unknown)}; it has '
            f'{", ".join(sorted(known))}. Set metainfo.classes or use --data FOLDER'
        )
    if not content['annotations']:
        raise UserError(f'{annotations}: has no annotations ({where})')
    return content
