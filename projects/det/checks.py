"""What can be wrong with a COCO instances file, found before the first step."""

import logging
from functools import partial
from pathlib import Path

from mmengine.logging import print_log

from projects.common.coco_checks import Entry, check_annotations, covers, is_number
from projects.common.errors import UserError
from projects.det.coco_folder import check_split


def check_things(
    annotations: Path,
    images: Path,
    classes: tuple[str, ...] | None,
    masks: bool,
    where: str,
) -> None:
    """Check an instances file and the images it names.

    Args:
        annotations: the json file.
        images: folder that the file names in it are relative to.
        classes: names the config trains; ``None`` for the dataset's own.
        masks: whether masks are learned or measured, not boxes alone.
        where: what the message calls this split.

    Raises:
        UserError: a line for each of the first faults.
    """
    content = check_split(annotations, images, classes, where)
    check_annotations(content, annotations, where, partial(_find_fault, masks=masks))
    sizes = {image['id']: image for image in content['images']}
    things = content['annotations']
    used = [thing for thing in things if _is_used(thing, sizes[thing['image_id']])]
    if all(thing['iscrowd'] for thing in used):
        raise UserError(
            f'{annotations}: not one annotation has an area, a box inside its image '
            f'and iscrowd 0 ({where})'
        )
    if len(used) < len(things):
        print_log(
            f'{annotations}: {len(things) - len(used)} of {len(things)} annotations '
            f'are left out: no area, or no box of a pixel inside the image ({where})',
            logger='current',
            level=logging.WARNING,
        )


def _find_fault(thing: Entry, image: Entry, masks: bool) -> str | None:
    if not is_number(thing.get('area')):
        return 'has no "area" in pixels; that of its box will do'
    if thing.get('iscrowd') not in (0, 1):
        return 'has no "iscrowd"; 0 stands for a single thing'
    if masks and not _has_mask(thing.get('segmentation'), image):
        return (
            'has no "segmentation" to learn masks from; give polygons [[x, y, ...]] of '
            'three or more points, or a run-length code of the size of its image'
        )
    return None


def _has_mask(value: object, image: Entry) -> bool:
    """Whether it is polygons, one of which has an area, or a code of an image."""
    if isinstance(value, dict):
        size = [image['height'], image['width']]
        return value.get('size') == size and isinstance(value.get('counts'), list | str)
    if not isinstance(value, list) or not all(isinstance(part, list) for part in value):
        return False
    return any(len(part) >= 6 and is_number(part[0]) for part in value)


def _is_used(thing: Entry, image: Entry) -> bool:
    """Whether mmdet's ``CocoDataset`` takes it, as an object or as a crowd."""
    if thing.get('ignore') or thing['area'] <= 0 or min(thing['bbox'][2:]) < 1:
        return False
    return covers(thing['bbox'], image)
