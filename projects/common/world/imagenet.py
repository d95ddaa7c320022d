"""The world as ImageNet: one object a picture, a folder for every class.

A class is an outline with or without stripes. The hue goes with the outline and the
lightness with the stripes, and both hardly overlap, so a short run can learn them; the
object must still be told from its background, which may have any colour and stripes.
"""

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from numpy.random import Generator

from .coco import write_jpeg
from .scene import Picture, Scene, Size, picture_rng, render, sample_size
from .splits import Track, each_split
from .texture import draw_background
from .thing import CLASSES, HUES, Thing, sample_thing

SIZE = (80, 112)
DIAMETERS = (0.55, 0.9)  # of the object, as a share of the shorter side
HUE_SPREAD = 14.0  # degrees; neighbouring outlines are 64 or more apart
FILLS = MappingProxyType({'plain': 'plain', 'striped': 'stripes'})
VALUES = MappingProxyType({'plain': (0.4, 0.55), 'striped': (0.9, 1.0)})  # as in HSV
IMAGE_CLASSES = tuple(f'{look}_{shape}' for look in FILLS for shape in CLASSES)


def write_imagenet(
    root: Path | str,
    num_train: int = 2000,
    num_val: int = 400,
    seed: int = 0,
    size: Size = SIZE,
    *,
    track: Track | None = None,
) -> Path:
    """Write ``train/CLASS/*.jpg`` and ``val/CLASS/*.jpg``.

    Picture i of a split is of class i modulo 8 and depends on the seed, the split, i
    and the size, never on the number of pictures.

    Args:
        root: folder to fill; made if absent.
        num_train: training pictures.
        num_val: held-out pictures, of other objects and backgrounds.
        seed: of the world.
        size: side of square pictures, or the (min, max) of each side.
        track: wraps the loop over the indices of a split, for a progress bar.

    Returns:
        ``root`` as a path.

    Raises:
        ValueError: a count is below the number of classes, the seed negative or the
            size too small.
        OSError: the folder cannot be written.
    """
    root = Path(root)
    least = len(IMAGE_CLASSES)
    for split, indices in each_split(num_train, num_val, track, least):
        for name in IMAGE_CLASSES:
            (root / split / name).mkdir(parents=True, exist_ok=True)
        for index in indices:
            name = IMAGE_CLASSES[index % len(IMAGE_CLASSES)]
            picture = draw_object(seed, split, index, size)
            write_jpeg(root / split / name / f'{index:06d}.jpg', picture.image)
    return root


def draw_object(seed: int, split: str, index: int, size: Size = SIZE) -> Picture:
    """Draw one picture of one object.

    Args:
        seed: of the world.
        split: ``'train'``, ``'val'`` or ``'test'``.
        index: of the picture in its split; its class is the index modulo 8.
        size: side of a square, or the (min, max) from which each side is drawn.

    Raises:
        ValueError: the split is unknown, a number is negative, or the size too small.
    """
    rng = picture_rng(seed, split, index)
    height, width = sample_size(rng, size)
    look, shape = IMAGE_CLASSES[index % len(IMAGE_CLASSES)].split('_')
    background = draw_background(rng, height, width)
    thing = _sample(rng, shape, height, width)
    thing = replace(thing, fill=FILLS[look], value=float(rng.uniform(*VALUES[look])))
    return render(Scene(background, (thing,)), noise=rng)


def _sample(rng: Generator, shape: str, height: int, width: int) -> Thing:
    """Draw until the shape is right; then its colour, close to the shape's own."""
    diameter = rng.uniform(*DIAMETERS)
    while True:
        thing = sample_thing(rng, height, width, diameter, 0)
        if thing.category == shape:
            hue = rng.normal(HUES[shape], HUE_SPREAD) % 360
            return replace(thing, hue=float(hue))
