"""People in the folders and the json of COCO 2017 keypoints.

Figures before textured backgrounds, hidden by one another and by things, or cut by the
frame; COCO's three flags of visibility all occur.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.random import Generator

from .coco import describe_dataset, encode_mask, write_pictures
from .figure import HIDDEN, KEYPOINTS, UNLABELLED, VISIBLE, Figure
from .posture import sample_figure
from .scene import (
    Picture,
    Scene,
    Size,
    label_pixels,
    mask_box,
    picture_rng,
    render,
    sample_size,
)
from .splits import Track, each_split
from .texture import draw_background
from .thing import Thing, sample_thing

PEOPLE_SIZE = (160, 208)
# COCO's lines between keypoints, counted from 1 as in its annotations.
SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7)),
    *((6, 8), (7, 9), (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5)),
    *((4, 6), (5, 7)),
)
MAX_PEOPLE = 2
HEIGHTS = (0.6, 0.95)  # of the image's height
CUT_RATE, CUT = 0.15, 0.4  # how often the frame cuts the legs, and how much at most
THING_RATE, THING_SIZES = 0.25, (0.2, 0.4)  # of the image's shorter side
MIN_VISIBLE = 0.75  # of the outline
MIN_KEYPOINTS = 8
ATTEMPTS = 30


def draw_people(seed: int, split: str, index: int, size: Size = PEOPLE_SIZE) -> Picture:
    """Draw one picture of people; its ``things`` are figures and what hides them.

    Args:
        seed: of the world.
        split: one of ``scene.SPLITS``.
        index: of the picture in its split, from 0.
        size: side of a square, or the (min, max) from which each side is drawn.

    Raises:
        ValueError: the split is unknown, a number is negative, or the size too small.
    """
    # A stream of its own: not the backgrounds of the other worlds.
    rng = picture_rng(seed, split, index).spawn(3)[2]
    height, width = sample_size(rng, size)
    return render(sample_people(rng, height, width), noise=rng)


def sample_people(rng: Generator, height: int, width: int) -> Scene:
    """Draw a background, people, and sometimes a thing in front of them."""
    background = draw_background(rng, height, width)
    wanted = int(rng.integers(1, MAX_PEOPLE, endpoint=True))
    things: list[Figure | Thing] = []
    people, attempts = 0, 0
    # A picture without people would be of no use: the first is tried until it fits.
    while not people or (people < wanted and attempts < ATTEMPTS):
        attempts += 1
        trial = [*things, _place(rng, height, width)]
        if _all_seen(trial, height, width):
            things, people = trial, people + 1
    if rng.random() < THING_RATE:
        trial = [
            *things,
            sample_thing(rng, height, width, rng.uniform(*THING_SIZES), 1),
        ]
        things = trial if _all_seen(trial, height, width) else things
    return Scene(background, tuple(things))


def write_people(
    root: Path | str,
    num_train: int = 400,
    num_val: int = 60,
    seed: int = 0,
    size: Size = PEOPLE_SIZE,
    *,
    track: Track | None = None,
) -> Path:
    """Write people as COCO 2017 keypoints.

    The folder then holds ``annotations/person_keypoints_{train,val}2017.json`` and the
    images in ``train2017/`` and ``val2017/``. Image i of a split depends on the seed,
    the split, i and the size alone.

    Args:
        root: folder to fill; made if absent.
        num_train: training images.
        num_val: validation images, of other people than the training ones.
        seed: of the world.
        size: side of square images, or the (min, max) from which each side is drawn.
        track: wraps the loop over the indices of a split, for a progress bar.

    Returns:
        ``root`` as a path.

    Raises:
        ValueError: a count is below 1, the seed negative or the size too small.
        OSError: the folder cannot be written.
    """
    person = {
        'id': 1,
        'name': 'person',
        'supercategory': 'person',
        'keypoints': list(KEYPOINTS),
        'skeleton': [list(link) for link in SKELETON],
    }
    return write_pictures(
        Path(root),
        'person_keypoints',
        {**describe_dataset(seed), 'categories': [person]},
        lambda split, index: draw_people(seed, split, index, size),
        describe_people,
        each_split(num_train, num_val, track),
    )


def describe_people(picture: Picture, image_id: int) -> list[dict[str, Any]]:
    """Give the COCO annotations of the people in an image, back to front."""
    annotations = []
    masks = picture.masks()
    for number, (figure, mask) in enumerate(zip(picture.things, masks, strict=True)):
        if not isinstance(figure, Figure):
            continue
        x1, y1, x2, y2 = mask_box(mask)
        keypoints = label_keypoints(figure, picture.labels, number + 1)
        annotations.append(
            {
                'id': image_id * 100 + number,
                'image_id': image_id,
                'category_id': 1,
                'segmentation': encode_mask(mask),
                'area': int(mask.sum()),
                'bbox': [x1, y1, x2 - x1, y2 - y1],
                'iscrowd': 0,
                'num_keypoints': int((keypoints[:, 2] > UNLABELLED).sum()),
                'keypoints': [round(float(v), 2) for v in keypoints.ravel()],
            }
        )
    return annotations


def label_keypoints(figure: Figure, labels: ndarray, number: int) -> ndarray:
    """Give x, y and COCO's v of each keypoint of a figure in a picture.

    Args:
        figure: the person.
        labels: of the picture.
        number: of the person in ``labels``; what is in front has a higher one.

    Shape:
        ``labels`` ``(H, W)``; returns ``(17, 3)``, zeros where nothing is labelled.
    """
    height, width = labels.shape
    keypoints = np.column_stack([figure.points[:, :2], figure.flags()])
    x, y = np.floor(keypoints[:, :2].T).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    keypoints[~inside, 2] = UNLABELLED
    covered = labels[y.clip(0, height - 1), x.clip(0, width - 1)] > number
    keypoints[covered & (keypoints[:, 2] == VISIBLE), 2] = HIDDEN
    keypoints[keypoints[:, 2] == UNLABELLED] = 0
    return keypoints


def _place(rng: Generator, height: int, width: int) -> Figure:
    """Draw a figure and where it stands."""
    tall = rng.uniform(*HEIGHTS) * height
    figure = sample_figure(rng, tall)
    low, high = figure.extent()
    reach = (high - low) / 2
    # At most a tenth of it beyond the left and right border.
    margin = min(0.8 * reach[0], width / 2)
    x = rng.uniform(margin, width - margin)
    free = max(0.0, height - (high - low)[1])
    top = rng.uniform(0, free)
    if rng.random() < CUT_RATE:
        top = free + rng.uniform(0, CUT) * tall
    return figure.moved(x - reach[0] - low[0], top - low[1])


def _all_seen(things: Sequence[Figure | Thing], height: int, width: int) -> bool:
    labels = label_pixels([thing.coverage(height, width) for thing in things])
    for number, figure in enumerate(things, 1):
        if not isinstance(figure, Figure):
            continue
        flags = label_keypoints(figure, labels, number)[:, 2]
        seen = (labels == number).sum() / figure.area()
        if seen < MIN_VISIBLE or (flags == VISIBLE).sum() < MIN_KEYPOINTS:
            return False
    return True
