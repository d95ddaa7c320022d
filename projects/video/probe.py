"""What a recognizer makes of a clip whose order in time is taken away."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from mmengine.dataset import BaseDataset, pseudo_collate
from torch import Tensor, nn

BATCH = 16
SEED = 0


def predict(model: nn.Module, items: Sequence[dict[str, Any]]) -> Tensor:
    """Scores of some packed items.

    Shape:
        Returns ``(len(items), num_classes)`` float32 on the CPU.
    """
    model.eval()
    with torch.no_grad():
        samples = model.test_step(pseudo_collate(list(items)))
    return torch.stack([sample.pred_score.float().cpu() for sample in samples])


def shuffled(clip: Tensor, generator: torch.Generator) -> Tensor:
    """Frames of ``(M, C, T, H, W)`` in another order, the same for all views."""
    return clip[:, :, torch.randperm(clip.shape[2], generator=generator)]


def repeated(clip: Tensor, generator: torch.Generator) -> Tensor:
    """One frame of ``(M, C, T, H, W)``, chosen at random, in place of all."""
    frame = int(torch.randint(clip.shape[2], (1,), generator=generator))
    return clip[:, :, frame : frame + 1].expand_as(clip).contiguous()


def scores_without_order(model: nn.Module, dataset: BaseDataset) -> dict[str, float]:
    """Top-1 accuracy on clips that keep their frames but not their order.

    A model that looks at motion falls to chance; one that knows the scenes does not.

    Args:
        model: a recognizer.
        dataset: held-out clips.
    """
    changes: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
        'top-1, frames shuffled': shuffled,
        'top-1, one frame repeated': repeated,
    }
    generator = torch.Generator().manual_seed(SEED)
    right = dict.fromkeys(changes, 0)
    for items in _batches(dataset):
        truth = torch.cat([item['data_samples'].gt_label for item in items])
        for title, change in changes.items():
            changed = [
                {**item, 'inputs': change(item['inputs'], generator)} for item in items
            ]
            guess = predict(model, changed).argmax(1)
            right[title] += int((guess == truth).sum())
    return {title: count / len(dataset) for title, count in right.items()}


def _batches(dataset: BaseDataset) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(dataset), BATCH):
        yield [dataset[i] for i in range(start, min(start + BATCH, len(dataset)))]
