"""What can be wrong with a COCO annotation file, whatever it is learned from it."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from projects.common.errors import UserError

LISTED = 8  # faults named; the rest is counted
# Lists of the file, and what an entry is called by beside its id.
LISTS = {'images': 'file_name', 'annotations': None, 'categories': 'name'}
BOM = '\ufeff'

Entry = Mapping[str, Any]
FindFault = Callable[[Entry, Entry], str | None]


def read_json(path: Path) -> Any:
    """Read a json file that pycocotools will read as well.

    Raises:
        UserError: it is no json, or starts with a byte order mark.
    """
    try:
        text = path.read_text('utf-8')
        content = json.loads(text.removeprefix(BOM))
    except (ValueError, OSError) as error:
        raise UserError(f'{path}: not a json file ({error})') from None
    if text.startswith(BOM):
        raise UserError(
            f'{path}: starts with a byte order mark, which the readers of COCO files '
            'refuse; save it as UTF-8 without BOM'
        )
    return content


def read_annotations(path: Path) -> dict[str, Any]:
    """Read a COCO annotation file; check what is needed to look anything up in it.

    Raises:
        UserError: it is missing or no json, a list is missing, an entry has no name, or
            ids are no whole numbers or not unique.
    """
    if not path.is_file():
        raise UserError(f'{path}: no such annotation file')
    content = read_json(path)
    for key, name in LISTS.items():
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise UserError(f'{path}: no list "{key}"; is it a COCO annotation file?')
        fault = _find_entry_fault(content[key], key, name)
        if fault:
            raise UserError(f'{path}: {fault}')
    if not content['images']:
        raise UserError(f'{path}: lists no images')
    return content


def check_annotations(
    content: Entry, path: Path, where: str, find_fault: FindFault
) -> None:
    """Check images and annotations one by one.

    Args:
        content: of :func:`read_annotations`.
        path: the file, for messages.
        where: what messages call this split.
        find_fault: says what else is wrong with an annotation of a given image, as in
            ``'has no "area"'``; ``None`` if nothing is.

    Raises:
        UserError: a line for each of the first faults.
    """
    faults = list(_find_faults(content, find_fault))
    if faults:
        lines = [f'{path}: {fault} ({where})' for fault in faults[:LISTED]]
        if len(faults) > LISTED:
            lines.append(f'{path}: and {len(faults) - LISTED} more')
        raise UserError('\n'.join(lines))


def is_number(value: Any) -> bool:
    """Whether a value of a json file is a finite number."""
    return type(value) in (int, float) and math.isfinite(value)


def covers(box: list[float], image: Entry) -> bool:
    """Whether a box ``[x, y, width, height]`` has pixels in common with its image."""
    x, y, width, height = box
    return (
        x + width > 0 and y + height > 0 and x < image['width'] and y < image['height']
    )


def _find_entry_fault(entries: list[Any], key: str, name: str | None) -> str | None:
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict):
            return f'"{key}" must list objects, but entry {place} is {entry!r:.40}'
        if name and not isinstance(entry.get(name), str):
            return f'entry {place} of "{key}" has no "{name}"'
        if type(entry.get('id')) is not int:
            return (
                f'entry {place} of "{key}" has the id {entry.get("id")!r}; ids must be '
                'whole numbers'
            )
    numbers = Counter(entry['id'] for entry in entries)
    number, times = max(numbers.items(), key=lambda item: item[1], default=(0, 1))
    return f'{times} {key} have the id {number}' if times > 1 else None


def _find_faults(content: Entry, find_fault: FindFault) -> Iterator[str]:
    """Sentences on what is wrong, one for each image or annotation."""
    images = {image['id']: image for image in content['images']}
    unsized = [image for image in content['images'] if not _has_size(image)]
    for image in unsized:
        yield f'image {image["file_name"]!r} has no "width" or "height" in pixels'
    if unsized:  # the annotations are checked against them
        return
    categories = {category['id'] for category in content['categories']}
    for thing in content['annotations']:
        fault = _find_thing_fault(thing, images, categories) or find_fault(
            thing, images[thing['image_id']]
        )
        if fault:
            yield f'annotation {thing["id"]} {fault}'


def _has_size(image: Entry) -> bool:
    sides = image.get('width'), image.get('height')
    return all(is_number(side) and side > 0 for side in sides)


def _find_thing_fault(
    thing: Entry, images: Mapping[int, Entry], categories: set[int]
) -> str | None:
    for key, known in (('image_id', images), ('category_id', categories)):
        number, kind = thing.get(key), key.removesuffix('_id')
        if number is None:
            return f'has no "{key}"'
        if type(number) is not int or number not in known:
            return f'is of {kind} {number!r}, which is not listed'
    box = thing.get('bbox')
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return 'has no "bbox" of four numbers'
    return None
