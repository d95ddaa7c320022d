"""Label maps: what a strong classifier sees at each place of an image.

The files are those that LV-ViT released for ImageNet (arXiv:2104.10858), one per
training image, at ``ROOT/CLASS_FOLDER/IMAGE_STEM.pt``: a tensor ``(2, k, H, W)``, half
precision, over the whole image. Plane 0 holds the k highest logits of each place, plane
1 the classes they belong to; LV-ViT's have k = 5 on 18 x 18 places. They are read as
data only: nothing stored in one is executed.
"""

from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import torch
from numpy import ndarray
from torch import Tensor
from torchvision.ops import roi_align

from projects.common.errors import LoadingError
from uniformer_backbones.compat.archive import check_archive
from uniformer_backbones.weights.writing import whole_file

TOP = 5
# The largest integer below which half precision has them all.
HALF_INTEGERS = 2048

# Shares of the image's width and height: x1, y1, x2, y2.
View = tuple[float, float, float, float]


class LabelMapError(LoadingError):
    """A label map is missing or not as described; the message names the file."""


def label_map_path(root: str | Path, image: str | Path) -> Path:
    """File of an image's map.

    Examples:
        >>> label_map_path('maps', 'train/n01440764/n01440764_18.JPEG').as_posix()
        'maps/n01440764/n01440764_18.pt'
    """
    image = Path(image)
    return Path(root) / image.parent.name / f'{image.stem}.pt'


def read_label_map(path: Path, num_classes: int) -> ndarray:
    """Read and check a label map.

    Args:
        path: file as described above.
        num_classes: that the model is trained on.

    Shape:
        ``(2, k, H, W)`` float32; the classes in plane 1 are whole numbers.

    Raises:
        LabelMapError: it is missing, damaged, of another shape, or has other classes.
    """
    try:
        check_archive(path)
        content = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        raise LabelMapError(
            f'{path}: no such label map; make the maps with tools/make_label_maps.py, '
            "or point LoadLabelMap's root at them"
        ) from None
    except UnpicklingError:
        raise LabelMapError(
            f'{path}: refused, it holds more than a tensor or is damaged'
        ) from None
    except Exception as error:  # a damaged file can fail in any way
        line = (str(error).strip().splitlines() or [''])[0]
        raise LabelMapError(f'{path}: cannot be read as a label map: {line}') from None
    if not isinstance(content, Tensor):
        kind = type(content).__name__
        raise LabelMapError(f'{path}: a tensor (2, k, H, W) is needed, it is a {kind}')
    if content.dim() != 4 or content.shape[0] != 2 or 0 in content.shape:
        shape = tuple(content.shape)
        raise LabelMapError(f'{path}: shape (2, k, H, W) is needed, it has {shape}')
    values = content.float().numpy()
    if not np.isfinite(values).all():
        raise LabelMapError(f'{path}: some values are not finite')
    classes = values[1]
    if (classes != classes.round()).any() or classes.min() < 0:
        raise LabelMapError(f'{path}: plane 1 must hold class numbers')
    if classes.max() >= num_classes:
        raise LabelMapError(
            f'{path}: has class {classes.max():.0f}, but the config trains '
            f'{num_classes} classes; the maps are of another data set'
        )
    return values


def write_label_map(path: Path, logits: Tensor, top: int = TOP) -> None:
    """Write a map whole or not at all.

    Args:
        path: file; its folder is made.
        logits: of every class at every place, ``(num_classes, H, W)``.
        top: classes to keep at each place.

    Raises:
        OSError: it cannot be written.
    """
    count = len(logits)
    values, classes = logits.float().topk(min(top, count), dim=0)
    dtype = torch.float16 if count <= HALF_INTEGERS else torch.float32
    content = torch.stack([values, classes.float()]).to(dtype).cpu()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        torch.save(content, draft)


def view_labels(
    label_map: ndarray, view: View, grid: tuple[int, int], num_classes: int
) -> Tensor:
    """Soft labels of a part of the image, on a grid of tokens.

    Logits are averaged over each token's place (RoIAlign), then a softmax over all
    classes follows; classes that the map does not name have logit 0 there.

    Args:
        label_map: of the whole image, ``(2, k, H, W)``.
        view: the part, in shares of width and height.
        grid: rows and columns of tokens.
        num_classes: of the result.

    Shape:
        ``(*grid, num_classes)`` float32, sums of 1.

    Source:
        Official ``tlt/data`` (``get_label``): boxes at share x size - 0.5.
    """
    logits, classes = torch.from_numpy(label_map)
    height, width = logits.shape[-2:]
    # A plane for each class that occurs, not for all.
    found, index = classes.long().unique(return_inverse=True)
    planes = torch.zeros(len(found), height, width).scatter_(0, index, logits)
    box = torch.tensor([view]) * torch.tensor([width, height] * 2) - 0.5
    pooled = roi_align(planes[None], [box], grid)[0]
    labels = torch.zeros(*grid, num_classes)
    labels[..., found] = pooled.movedim(0, -1)
    return labels.softmax(-1)
