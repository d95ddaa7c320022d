"""Memory of a segmentation model's training step, whole and backbone alone."""

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
from projects.common.memory import step_peaks

Peaks = dict[str, tuple[float, float]]


def measure(cfg: Config, size: tuple[int, ...]) -> Peaks:
    """Run a step of the model, and one of its backbone.

    Args:
        cfg: of a segmentation model.
        size: ``(B, 3, H, W)``.

    Returns:
        Peaks in MiB, with fused and with materialised attention, by part.

    Raises:
        UserError: the config is of another library.
    """
    if cfg.get('default_scope') != 'mmseg':
        raise UserError(f'{cfg.filename}: no segmentation config')
    init_default_scope('mmseg')
    cfg.model.backbone.init_cfg = None
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).train()
    x = torch.randn(size)
    samples = [_sample(size) for _ in range(size[0])]
    whole = step_peaks(model, partial(_loss, model, x, samples), x)
    backbone = step_peaks(model.backbone, partial(_features, model.backbone, x), x)
    return {'whole model': whole, 'backbone': backbone}


def show(peaks: Peaks, title: str) -> None:
    """Print a table on stdout."""
    table = Table('peak, MiB', title=title)
    for name in ('fused attention', 'materialised', 'ratio'):
        table.add_column(name, justify='right')
    for name, (fused, materialised) in peaks.items():
        ratio = f'{materialised / fused:.2f}'
        table.add_row(name, f'{fused:.0f}', f'{materialised:.0f}', ratio)
    Console(highlight=False).print(table)


def _sample(size: tuple[int, ...]) -> SegDataSample:
    labels = torch.zeros(1, *size[2:], dtype=torch.long)
    return SegDataSample(gt_sem_seg=PixelData(data=labels))


def _loss(model: nn.Module, x: Tensor, samples: list[SegDataSample]) -> Tensor:
    losses = model(x, samples, mode='loss')
    total, _ = model.parse_losses(losses)
    return total


def _features(backbone: nn.Module, x: Tensor) -> Tensor:
    return sum(out.square().mean() for out in backbone(x))
