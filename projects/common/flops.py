"""Counting multiply-adds: what PyTorch's counter lacks, and by whom they are done.

PyTorch counts two per multiply-add; so does everything here until the report halves it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

aten = torch.ops.aten
# Attention by another kernel is the same two products.
FUSED = (
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_flash_attention_for_cpu,
    aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_cudnn_attention,
    aten._scaled_dot_product_fused_attention_overrideable,
)
BETWEEN_ACTIVATIONS = (aten.bmm, aten.baddbmm, *FUSED)


class Ledger:
    """Adds what was counted between two module calls to the part that ran."""

    def __init__(self, counter: FlopCounterMode, rest: tuple[str, str]) -> None:
        self.flops: dict[tuple[str, str], int] = defaultdict(int)
        self._counter = counter
        self._seen = 0
        self._running = [rest]

    def watch(self, module: nn.Module, part: tuple[str, str]) -> Iterator[Any]:
        yield module.register_forward_pre_hook(partial(self._enter, part))
        yield module.register_forward_hook(self._leave)

    def settle(self) -> None:
        total = self._counter.get_total_flops()
        self.flops[self._running[-1]] += total - self._seen
        self._seen = total

    def _enter(self, part: tuple[str, str], *_: Any) -> None:
        self.settle()
        self._running.append(part)

    def _leave(self, *_: Any) -> None:
        self.settle()
        self._running.pop()


class Unfilled(TorchFunctionMode):
    """New parameters take no memory, and filling them no time."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func is torch.empty and named.get('device') is None:
            named['device'] = 'meta'
        return func(*args, **named)


@contextmanager
def explicit_attention() -> Iterator[None]:
    """Keep nn.MultiheadAttention off its fused inference path, which has no formula."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def formulas() -> dict[Any, Callable[..., int]]:
    """Operators that PyTorch's counter has no formula for; two per multiply-add."""

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
        return sdpa_flop_count(query, key, value)

    def deformable(
        x: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any
    ) -> int:
        return 2 * out_shape[0] * prod(out_shape[2:]) * prod(weight)

    return {
        **dict.fromkeys(FUSED, attention),
        torch.ops.torchvision.deform_conv2d: deformable,
    }
