"""A folder of images and masks: where they are, and what their classes are."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log

from projects.common.errors import UserError
from projects.common.media import IMAGES
from projects.seg.class_list import ClassList, read_class_list

LAYOUT = """  {root}/classes.txt                 names, one a line, from label 0
  {root}/images/training/*.jpg       (or images/train/, or train/images/)
  {root}/annotations/training/*.png  (or masks/train/, or train/masks/)
  {root}/images/validation/*.jpg     (or images/val/, or val/images/)
  {root}/annotations/validation/*.png"""
ADE20K_MARK = 'objectInfo150.txt'  # in the archive of ADE20K itself
SPLITS = {'train': ('training', 'train'), 'val': ('validation', 'val', 'valid')}
MASKS = ('annotations', 'masks', 'labels')


@dataclass(frozen=True)
class MaskSplit:
    """Folders of the images and masks of one split."""

    images: Path
    masks: Path


@dataclass(frozen=True)
class MaskFolder:
    """Both splits of a folder; ``classes`` is None for ADE20K itself."""

    train: MaskSplit
    val: MaskSplit
    classes: ClassList | None


def find_masks(root: Path) -> MaskFolder:
    """Find images, masks and classes.

    A folder without splits is trained and evaluated on the same images; the log says
    so.

    Raises:
        UserError: something is not where it is looked for.
    """
    if not root.is_dir():
        raise UserError(f'{root}: no such folder; expected\n{LAYOUT.format(root=root)}')
    found = {split: _find_split(root, names) for split, names in SPLITS.items()}
    classes = _find_classes(root)
    train, val = found['train'], found['val']
    if train is None and val is None:
        both = _find_split(root, ('.',))
        if both is not None and _has_images(both.images):
            print_log(
                f'{root}: no training and validation folders: training and testing on '
                'the same images',
                logger='current',
            )
            return MaskFolder(both, both, classes)
    if train is None or val is None:
        missing = 'training' if train is None else 'validation'
        raise UserError(
            f'{root}: no {missing} images with masks; expected\n'
            f'{LAYOUT.format(root=root)}'
        )
    return MaskFolder(train, val, classes)


def _find_classes(root: Path) -> ClassList | None:
    path = root / 'classes.txt'
    if not path.is_file() and (root / ADE20K_MARK).is_file():
        return None
    if not path.is_file():
        raise UserError(
            f'{path}: no such class list; write one name a line, the first for label 0 '
            '(or "name R G B" for coloured masks)'
        )
    return read_class_list(path)


def _find_split(root: Path, names: tuple[str, ...]) -> MaskSplit | None:
    pairs = [
        (root / outer / inner, root / mask_outer / mask_inner)
        for name in names
        for kind in MASKS
        for (outer, inner), (mask_outer, mask_inner) in (
            (('images', name), (kind, name)),
            ((name, 'images'), (name, kind)),
        )
    ]
    return next(
        (MaskSplit(*pair) for pair in pairs if all(map(Path.is_dir, pair))), None
    )


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in IMAGES for path in folder.rglob('*'))
