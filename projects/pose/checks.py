"""What can be wrong with a COCO keypoints file, found before the first step."""

import math
from functools import partial
from pathlib import Path

from projects.common.coco_checks import (
    Entry,
    check_annotations,
    covers,
    is_number,
    read_annotations,
    read_json,
)
from projects.common.errors import UserError
from projects.det.coco_folder import check_split
from projects.pose.skeleton import Skeleton, read_skeleton

TRUE_BOXES = (
    '--cfg-options val_dataloader.dataset.bbox_file=None '
    'test_dataloader.dataset.bbox_file=None'
)


def find_skeleton(annotations: Path) -> tuple[Skeleton, tuple[str, ...]]:
    """Read the skeleton of a keypoints file, as ``read_skeleton`` does.

    Categories without keypoints are left out where no annotation is of them.

    Raises:
        UserError: the file is no keypoints file, or has several skeletons.
    """
    content = read_annotations(annotations)
    if not content['categories']:
        raise UserError(f'{annotations}: lists no categories')
    used = [thing.get('category_id') for thing in content['annotations']]
    categories = [
        category
        for category in content['categories']
        if category.get('keypoints') or category['id'] in used
    ]
    found = [
        read_skeleton(category, f'{annotations}: category {category["name"]!r}')
        for category in categories or content['categories']
    ]
    if any(skeleton != found[0][0] for skeleton, _ in found):
        raise UserError(
            f'{annotations}: its categories have different keypoints; one model learns '
            'one skeleton, so keep the categories of one'
        )
    return found[0]


def check_people(
    annotations: Path, images: Path, keypoints: tuple[str, ...], where: str
) -> None:
    """Check a keypoints file and the images it names.

    Args:
        annotations: the json file.
        images: folder that the file names in it are relative to.
        keypoints: names that the config trains.
        where: what the message calls this split.

    Raises:
        UserError: a line for each of the first faults.
    """
    content = check_split(annotations, images, None, where)
    skeleton, _ = find_skeleton(annotations)
    if skeleton.keypoints != keypoints:
        raise UserError(
            f'{annotations}: has {len(skeleton.keypoints)} keypoints '
            f'({_some(skeleton.keypoints)}), the config trains {len(keypoints)} '
            f'({_some(keypoints)}); --data FOLDER takes those of the file'
        )
    find_fault = partial(_find_fault, count=len(keypoints))
    check_annotations(content, annotations, where, find_fault)
    if not any(map(counts, content['annotations'])):
        raise UserError(f'{annotations}: not one keypoint is labelled ({where})')


def check_detections(boxes: Path) -> None:
    """Check the file of detected boxes that a config is tested in.

    Raises:
        UserError: it is missing, or no list of detections.
    """
    if not boxes.is_file():
        raise UserError(
            f'{boxes}: no such file of detected boxes (configs/pose/README.md says '
            f'where it comes from); to test in the true boxes, add {TRUE_BOXES}'
        )
    found = read_json(boxes)
    wanted = {'image_id', 'category_id', 'bbox', 'score'}
    if not isinstance(found, list) or not found or not wanted <= set(found[0]):
        raise UserError(f'{boxes}: not a list of detections with {sorted(wanted)}')


def _find_fault(thing: Entry, image: Entry, count: int) -> str | None:
    values = thing.get('keypoints')
    if not isinstance(values, list):
        return 'has no list "keypoints"'
    if len(values) != 3 * count:
        return (
            f'has {len(values)} numbers in "keypoints"; {count} names make {3 * count}'
        )
    numbers = all(isinstance(value, int | float) for value in values)
    if not numbers or not math.isfinite(sum(values)):
        return 'has keypoints that are no numbers'
    if not set(values[2::3]) <= {0, 1, 2}:
        return 'has keypoints whose third number is not 0, 1 or 2'
    if not is_number(thing.get('area') or 0):
        return f'has the area {thing["area"]!r}, which is no number'
    return _find_box_fault(thing['bbox'], image) if counts(thing) else None


def _find_box_fault(box: list[float], image: Entry) -> str | None:
    if min(box[2:]) <= 0:
        return f'has a box without area: {box}'
    if not covers(box, image):
        return f'has a box outside its image {image["file_name"]!r}: {box}'
    return None


def counts(thing: Entry) -> bool:
    """Whether a person is trained on: not a crowd, and some keypoint is labelled."""
    values = thing.get('keypoints')
    labelled = isinstance(values, list) and any(values[2::3])
    return labelled and not thing.get('iscrowd')


def has_area(thing: Entry) -> bool:
    """Whether an area to measure errors by is given; of who is not counted, any."""
    area = thing.get('area')
    return is_number(area) and (area > 0 or not counts(thing))


def _some(names: tuple[str, ...]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')
