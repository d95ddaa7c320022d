"""Activation checkpointing that leaves BatchNorm statistics right."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpoint_block(block: nn.Module, x: Tensor) -> Tensor:
    """Run a block without keeping its activations for backward."""
    if torch.compiler.is_compiling():
        return checkpoint(block, x, use_reentrant=False)
    return checkpoint(
        block,
        x,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _frozen_statistics(block)),
    )


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Keep running statistics: the recomputation must not count a batch twice."""
    norms = [
        m
        for m in block.modules()
        if isinstance(m, _BatchNorm) and m.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
