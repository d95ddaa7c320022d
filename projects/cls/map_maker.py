"""Label maps from a classifier of ours: what its head says of each place of an image.

The map of a plain classifier comes from its linear head on every position of the last
map instead of their mean (arXiv:2101.05022); that of a token-labeling model from its
auxiliary head.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from projects.cls.label_map import TOP, label_map_path, write_label_map
from projects.common.errors import UserError
from projects.common.media import IMAGES, InputError, find_files, read_image
from projects.common.task import transforms
from projects.common.weights import load_whole

Track = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass
class MapReport:
    """What was done.

    Attributes:
        written: number of new maps.
        kept: number of maps that were there already.
        unreadable: images without a map, each with the reason.
    """

    written: int = 0
    kept: int = 0
    unreadable: list[str] = field(default_factory=list)


class Pictures(Dataset):
    """Whole images, squeezed to a square; one that cannot be read is its error.

    Shape:
        Items: index and ``(3, side, side)`` uint8 BGR, or index and a message.
    """

    def __init__(self, files: Sequence[Path], side: int) -> None:
        self.files, self.side = files, side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        try:
            image = read_image(self.files[index])
        except (InputError, OSError) as error:
            return index, str(error)
        shrinks = max(image.shape[:2]) > self.side
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        image = cv2.resize(image, (self.side, self.side), interpolation=how)
        return index, torch.from_numpy(image).permute(2, 0, 1)


def load_classifier(cfg: Config, checkpoint: str, device: str) -> nn.Module:
    """Build the model of a config with the weights of a file, ours or published.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: it is no checkpoint, or of another model.
    """
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    model = MODELS.build(cfg.model)
    load_whole(model, checkpoint)
    return model.to(device).eval()


def place_scores(model: nn.Module, images: Tensor) -> Tensor:
    """Logits of every class at every position of the last map.

    Args:
        model: an image classifier whose head is linear.
        images: as the model's preprocessor gives them, ``(B, 3, H, W)``.

    Shape:
        ``(B, num_classes, h, w)``.

    Raises:
        UserError: the head has neither ``aux_head`` nor ``fc``.
    """
    head = model.head
    classify = getattr(head, 'aux_head', None) or getattr(head, 'fc', None)
    if classify is None:
        raise UserError(
            f'{type(head).__name__}: label maps need a linear head, one with fc'
        )
    maps = [feat for feat in model.backbone(images) if feat.dim() == 4]
    return classify(maps[-1].movedim(1, -1)).movedim(-1, 1)


def default_side(cfg: Config) -> int:
    """Twice the crop that the config tests: finer maps from the same model.

    Raises:
        UserError: the test pipeline has no crop.
    """
    for transform in transforms(cfg.test_dataloader.dataset.pipeline):
        if transform['type'] == 'CenterCrop':
            return 2 * int(transform['crop_size'])
    raise UserError('the test pipeline has no CenterCrop; give --side')


def training_images(folder: Path, out: Path) -> list[Path]:
    """Images of ``FOLDER/train`` if there is one, else of ``FOLDER``.

    Raises:
        UserError: there are none, or two would share a map.
    """
    root = folder / 'train' if (folder / 'train').is_dir() else folder
    try:
        files = find_files(root, IMAGES)
    except InputError as error:
        raise UserError(f'{root}: {error}') from None
    owners: dict[Path, Path] = {}
    for file in files:
        first = owners.setdefault(label_map_path(out, file), file)
        if first != file:
            raise UserError(
                f'{file}: would share its map with {first}; maps are named after the '
                'folder and the stem of an image, rename one of the two'
            )
    return files


def make_label_maps(
    model: nn.Module,
    files: Sequence[Path],
    out: Path,
    side: int,
    top: int = TOP,
    batch_size: int = 16,
    workers: int = 0,
    track: Track | None = None,
) -> MapReport:
    """Write the maps that are not there yet; may be stopped and started again.

    Args:
        model: of :func:`load_classifier`.
        files: images.
        out: folder of the maps.
        side: that every image is squeezed to, in pixels.
        top: classes to keep at each place.
        batch_size: images at a time.
        workers: processes that read images.
        track: wraps the loop over batches, given their number, for a progress bar.
    """
    todo = [file for file in files if not label_map_path(out, file).is_file()]
    report = MapReport(kept=len(files) - len(todo))
    loader = DataLoader(
        Pictures(todo, side), batch_size, num_workers=workers, collate_fn=list
    )
    batches = track(loader, len(loader)) if track else loader
    for batch in batches:
        for index, logits in _score(model, batch, report, todo):
            write_label_map(label_map_path(out, todo[index]), logits, top)
            report.written += 1
    return report


@torch.no_grad()
def _score(
    model: nn.Module, batch: list, report: MapReport, files: Sequence[Path]
) -> Iterator[tuple[int, Tensor]]:
    images = [(index, item) for index, item in batch if isinstance(item, Tensor)]
    report.unreadable += [
        f'{files[index]}: {item}' for index, item in batch if isinstance(item, str)
    ]
    if not images:
        return
    data = {'inputs': [item for _, item in images]}
    inputs = model.data_preprocessor(data, False)['inputs']
    scores = place_scores(model, inputs).float().cpu()
    yield from zip([index for index, _ in images], scores, strict=True)
