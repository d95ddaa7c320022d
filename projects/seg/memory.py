"""Memory of a segmentation model's training step, whole and backbone alone."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from projects.common.errors import UserError
from projects.common.memory import materialised_attention, step_peak
from projects.seg.segmentor import CheckpointedEncoderDecoder


@dataclass(frozen=True)
class Peaks:
    """Of one step, in MiB."""

    materialised: float
    fused: float
    checkpointed: float


def measure(cfg: Config, size: tuple[int, ...]) -> dict[str, Peaks]:
    """Run steps of the model and of its backbone.

    Args:
        cfg: of a segmentation model.
        size: ``(B, 3, H, W)``.

    Returns:
        Peaks by part of the model.

    Raises:
        UserError: the model is not mmseg's ``EncoderDecoder``.
    """
    if cfg.get('default_scope') != 'mmseg' or cfg.model.type != 'EncoderDecoder':
        raise UserError(f'{cfg.filename}: its model is no EncoderDecoder of mmseg')
    init_default_scope('mmseg')
    cfg.model.backbone.init_cfg = None
    frugal = copy.deepcopy(cfg.model)
    frugal.type = CheckpointedEncoderDecoder
    frugal.backbone.with_cp = True
    models = [
        revert_sync_batchnorm(MODELS.build(model)).train()
        for model in (cfg.model, frugal)
    ]
    x = torch.randn(size)
    samples = [_sample(size) for _ in range(size[0])]
    return {
        'whole model': _peaks(models, lambda model: _loss(model, x, samples), x),
        'backbone': _peaks(
            [model.backbone for model in models],
            lambda backbone: _features(backbone, x),
            x,
        ),
    }


def show(peaks: dict[str, Peaks], title: str) -> None:
    """Print a table on stdout; the ratios are to materialised attention."""
    table = Table('peak, MiB', title=title)
    for name in ('materialised', 'fused attention', 'ratio', 'checkpointed', 'ratio'):
        table.add_column(name, justify='right')
    for name, peak in peaks.items():
        row = [f'{peak.materialised:.0f}']
        for ours in (peak.fused, peak.checkpointed):
            row += [f'{ours:.0f}', f'{peak.materialised / ours:.2f}']
        table.add_row(name, *row)
    Console(highlight=False).print(table)


def _peaks(
    models: Sequence[nn.Module], loss: Callable[[nn.Module], Tensor], x: Tensor
) -> Peaks:
    plain, frugal = models
    with materialised_attention():
        materialised = step_peak(plain, partial(loss, plain), x)
    return Peaks(
        materialised=materialised,
        fused=step_peak(plain, partial(loss, plain), x),
        checkpointed=step_peak(frugal, partial(loss, frugal), x),
    )


def _sample(size: tuple[int, ...]) -> SegDataSample:
    labels = torch.zeros(1, *size[2:], dtype=torch.long)
    return SegDataSample(gt_sem_seg=PixelData(data=labels))


def _loss(model: nn.Module, x: Tensor, samples: list[SegDataSample]) -> Tensor:
    losses = model(x, samples, mode='loss')
    total, _ = model.parse_losses(losses)
    return total


def _features(backbone: nn.Module, x: Tensor) -> Tensor:
    return sum(out.square().mean() for out in backbone(x))
