"""The world as COCO instances, in the folders and the json of COCO 2017."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy import ndarray
from pycocotools import mask as mask_api

from .scene import DEFAULT_SIZE, Picture, Size, draw_scene, mask_box
from .splits import Track, each_split
from .thing import CLASSES

JPEG_QUALITY = 95
# Image ids of a split start here, so that they depend on the index alone.
FIRST_IDS = {'train': 1, 'val': 1_000_001}
# Below this overlap of a polygon with its mask, the exact run lengths are written.
MIN_POLYGON_IOU = 0.98


def write_coco(
    root: Path | str,
    num_train: int = 400,
    num_val: int = 100,
    seed: int = 0,
    size: Size = DEFAULT_SIZE,
    *,
    track: Track | None = None,
) -> Path:
    """Write the world as COCO 2017 instances.

    The folder then holds ``annotations/instances_{train,val}2017.json`` and the images
    in ``train2017/`` and ``val2017/``. Image i of a split depends on the seed, the
    split, i and the size, never on the number of images.

    Args:
        root: folder to fill; made if absent.
        num_train: training images.
        num_val: validation images, of other scenes than the training ones.
        seed: of the world.
        size: side of square images, or the (min, max) from which each side is drawn.
        track: wraps the loop over the indices of a split, for a progress bar.

    Returns:
        ``root`` as a path.

    Raises:
        ValueError: a count is below 1, the seed negative or the size too small.
        OSError: the folder cannot be written.
    """
    return write_pictures(
        Path(root),
        'instances',
        describe_dataset(seed),
        lambda split, index: draw_scene(seed, split, index, size),
        describe_things,
        each_split(num_train, num_val, track),
    )


def write_pictures(
    root: Path,
    name: str,
    dataset: dict[str, Any],
    draw: Callable[[str, int], Picture],
    describe: Callable[[Picture, int], list[dict[str, Any]]],
    splits: Iterable[tuple[str, Iterable[int]]],
) -> Path:
    """Write pictures and their annotations in the layout of COCO 2017.

    Args:
        root: folder to fill; made if absent.
        name: of the json files, up to ``_train2017.json``.
        dataset: the json content without images; see :func:`describe_dataset`.
        draw: gives a picture from its split and index.
        describe: gives the annotations of a picture, with the given image id.
        splits: names and indices; see :func:`.splits.each_split`.

    Returns:
        ``root``.
    """
    for split, indices in splits:
        folder = root / f'{split}2017'
        folder.mkdir(parents=True, exist_ok=True)
        content = {**dataset, 'images': [], 'annotations': []}
        for image_id, index in enumerate(indices, FIRST_IDS[split]):
            picture = draw(split, index)
            record = describe_image(picture, image_id)
            write_jpeg(folder / record['file_name'], picture.image)
            content['images'].append(record)
            content['annotations'] += describe(picture, image_id)
        text = json.dumps(content, separators=(',', ':'))
        (root / 'annotations').mkdir(exist_ok=True)
        (root / 'annotations' / f'{name}_{split}2017.json').write_text(text)
    return root


def write_jpeg(path: Path, image: ndarray) -> None:
    """Write a BGR uint8 image; unlike ``cv2.imwrite``, a full disk raises OSError."""
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    path.write_bytes(data.tobytes())


def describe_dataset(seed: int) -> dict[str, Any]:
    """Give a json content without images: info, licenses and categories."""
    categories = [
        {'id': number, 'name': name, 'supercategory': 'shape'}
        for number, name in enumerate(CLASSES, 1)
    ]
    return {
        'info': {
            'description': f'Generated demo world, seed {seed}',
            'url': '',
            'version': '1.0',
            'year': 2017,
            'contributor': 'UniFormer for OpenMMLab 2.x',
            'date_created': '',
        },
        'licenses': [
            {
                'id': 1,
                'name': 'Apache License 2.0',
                'url': 'https://www.apache.org/licenses/LICENSE-2.0',
            }
        ],
        'categories': categories,
    }


def describe_image(picture: Picture, image_id: int) -> dict[str, Any]:
    """Give the COCO record of an image."""
    height, width = picture.labels.shape
    return {
        'id': image_id,
        'file_name': f'{image_id:012d}.jpg',
        'height': height,
        'width': width,
        'license': 1,
        'coco_url': '',
        'flickr_url': '',
        'date_captured': '',
    }


def describe_things(picture: Picture, image_id: int) -> list[dict[str, Any]]:
    """Give the COCO annotations of the things in an image, back to front."""
    annotations = []
    masks = picture.masks()
    for number, (thing, mask) in enumerate(zip(picture.things, masks, strict=True)):
        x1, y1, x2, y2 = mask_box(mask)
        annotations.append(
            {
                'id': image_id * 100 + number,
                'image_id': image_id,
                'category_id': CLASSES.index(thing.category) + 1,
                'segmentation': encode_mask(mask),
                'area': int(mask.sum()),
                'bbox': [x1, y1, x2 - x1, y2 - y1],
                'iscrowd': 0,
            }
        )
    return annotations


def encode_mask(mask: ndarray) -> list[list[int]] | dict[str, Any]:
    """Encode a mask as COCO does: one polygon if it is one, else run lengths.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        ``[[x1, y1, x2, y2, ...]]`` along the pixels' edges, or a compressed RLE whose
        counts are text.

    Examples:
        >>> encode_mask(np.pad(np.ones((2, 3), bool), 4))
        [[4, 6, 7, 6, 7, 4, 4, 4]]
    """
    height, width = mask.shape
    runs = mask_api.encode(np.asfortranarray(mask, np.uint8))
    polygon = trace_polygon(mask)
    if polygon is not None:
        drawn = mask_api.frPyObjects([polygon], height, width)
        if mask_api.iou(drawn, [runs], [0])[0, 0] >= MIN_POLYGON_IOU:
            return [polygon]
    return {'size': [height, width], 'counts': runs['counts'].decode()}


def trace_polygon(mask: ndarray) -> list[int] | None:
    """Trace a mask along the edges of its pixels.

    Returns:
        ``[x1, y1, x2, y2, ...]`` with pixel i spanning [i, i + 1], or None if the mask
        has holes or several parts.
    """
    # On a fourfold enlarged mask every contour point lies next to one pixel corner:
    # dividing and rounding gives that corner, corners cut short fall together.
    factor = 4
    large = mask.astype(np.uint8).repeat(factor, 0).repeat(factor, 1)
    parts, _ = cv2.connectedComponents(large, connectivity=4)
    contours, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if parts != 2 or len(contours) != 1:
        return None
    points = np.round((contours[0][:, 0] + 0.5) / factor).astype(int)
    points = points[np.any(points != np.roll(points, 1, 0), 1)]
    ahead, behind = np.roll(points, -1, 0) - points, points - np.roll(points, 1, 0)
    turns = ahead[:, 0] * behind[:, 1] != ahead[:, 1] * behind[:, 0]
    return points[turns].ravel().tolist()
