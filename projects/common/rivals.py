"""One arch (A) beside another (B) at equal input: what a smaller model buys.

As :mod:`projects.common.benchmark`, but the two do not compute the same, so nothing is
compared beforehand. A ratio above one says that A is faster.
"""

import torch
from torch import nn

from projects.common.benchmark import Result, Workload, time_pair
from uniformer_backbones import UniFormer
from uniformer_backbones.models import find_arch


def compare_archs(
    workload: Workload,
    archs: tuple[str, str],
    device: torch.device,
    dtypes: tuple[str, str],
    quick: bool,
    seconds: float,
) -> Result:
    """Time two archs on one workload.

    Args:
        workload: what runs.
        archs: A and B.
        device: where.
        dtypes: of A and of B; below float32 it is autocast.
        quick: at the small size.
        seconds: clock time to spend; at least three pairs run.
    """
    shape = workload.quick if quick else workload.shape
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    models = [build_arch(arch, workload).to(device) for arch in archs]
    return time_pair(workload, models, x, dtypes, seconds)


def build_arch(arch: str, workload: Workload) -> nn.Module:
    """A model as its task uses it; hourglass archs have no windows."""
    settings = dict(workload.model)
    if find_arch(arch).is_hourglass:
        settings.pop('attention', None)
    return UniFormer(arch, **settings).train(workload.train)
