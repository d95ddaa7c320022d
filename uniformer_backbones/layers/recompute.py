"""Activation checkpointing that leaves BatchNorm statistics right."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpoint_block(
    block: nn.Module, *inputs: Any, method: Callable[..., Any] | None = None
) -> Any:
    """Run a block without keeping its activations for backward.

    Args:
        block: its BatchNorm statistics count the batch once.
        *inputs: kept for backward.
        method: of the block, run in place of its ``forward``.
    """
    run = block if method is None else method
    if torch.compiler.is_compiling():
        return checkpoint(run, *inputs, use_reentrant=False)
    return checkpoint(
        run,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _frozen_statistics(block)),
    )


@contextmanager
def _frozen_statistics(block: nn.Module) -> Iterator[None]:
    """Keep running statistics: the recomputation must not count a batch twice.

    A momentum of zero leaves them as they are; the operator, and what it saves for
    backward, stay those of the first pass, which PyTorch insists on.
    """
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
