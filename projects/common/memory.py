"""Peak memory of a training step, as it is and with attention maps in memory.

Counted is every tensor that the step makes, activations and gradients alike, as long
as it lives; weights, inputs and what an operator uses inside are not.
"""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from uniformer_backbones.layers import relation

MIB = 2**20


class PeakMemory(TorchDispatchMode):
    """Counts the bytes of live tensors that were made inside the context.

    Args:
        *known: tensors that are there already.

    Attributes:
        live: bytes now.
        peak: bytes at the worst moment.

    Examples:
        >>> with PeakMemory() as memory:
        ...     x = torch.zeros(1024)
        ...     x = x.view(32, 32) + 1
        >>> memory.peak, memory.live
        (8192, 4096)
    """

    def __init__(self, *known: Tensor) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._seen = WeakIdKeyDictionary()
        for tensor in known:
            self._seen[tensor.untyped_storage()] = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operator and count what it made."""
        out = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self._count, out)
        return out

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        self._seen[storage] = True
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._release, size)

    def _release(self, size: int) -> None:
        self.live -= size


@contextmanager
def materialised_attention() -> Iterator[None]:
    """Compute attention as the official code does, its whole map in memory."""

    def attend(query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0) -> Any:
        weights = (query @ key.transpose(-2, -1)) * query.shape[-1] ** -0.5
        weights = weights.softmax(dim=-1)
        return torch.dropout(weights, dropout, dropout > 0) @ value

    fused = relation.scaled_dot_product
    relation.scaled_dot_product = attend
    try:
        yield
    finally:
        relation.scaled_dot_product = fused


def step_peak(
    model: torch.nn.Module, loss: Callable[[], Tensor], inputs: Tensor
) -> float:
    """Measure a training step: forward and backward.

    Args:
        model: in training mode.
        loss: forward of the model, as one number.
        inputs: what ``loss`` reads.

    Returns:
        The peak in MiB.
    """
    model.zero_grad(set_to_none=True)
    with PeakMemory(*model.parameters(), *model.buffers(), inputs) as memory:
        loss().backward()
    model.zero_grad(set_to_none=True)
    return memory.peak / MIB
