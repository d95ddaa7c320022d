"""The world as segmentation masks, in the folders and the labels of ADE20K."""

from pathlib import Path

import cv2

from .coco import write_jpeg
from .landscape import LANDSCAPE_CLASSES, draw_labelled
from .scene import Size
from .splits import Track, each_split

LANDSCAPE_SIZE = (112, 160)
FOLDERS = {'train': 'training', 'val': 'validation'}
NOTHING = '-'  # what classes.txt calls a label that is no class


def write_ade20k(
    root: Path | str,
    num_train: int = 400,
    num_val: int = 48,
    seed: int = 0,
    size: Size = LANDSCAPE_SIZE,
    *,
    track: Track | None = None,
) -> Path:
    """Write the world as ADE20K's scene parsing challenge.

    The folder then holds ``images/{training,validation}/*.jpg``, for each a mask
    ``annotations/{training,validation}/*.png``, and ``classes.txt``. As in ADE20K,
    label 0 is no class and the classes count from 1: the first line of the list says
    so. Image i of a split depends on the seed, the split, i and the size alone.

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
    root = Path(root)
    for split, indices in each_split(num_train, num_val, track):
        images = root / 'images' / FOLDERS[split]
        masks = root / 'annotations' / FOLDERS[split]
        for path in (images, masks):
            path.mkdir(parents=True, exist_ok=True)
        for index in indices:
            image, labels = draw_labelled(seed, split, index, size)
            name = f'ADE_{split}_{index + 1:08d}'
            write_jpeg(images / f'{name}.jpg', image)
            _, data = cv2.imencode('.png', labels + 1)
            (masks / f'{name}.png').write_bytes(data.tobytes())
    names = [NOTHING, *LANDSCAPE_CLASSES]
    (root / 'classes.txt').write_text('\n'.join(names) + '\n')
    return root
