"""Checks of tensors that come from a file, before anything is computed with them."""

from collections.abc import Mapping

import torch
from torch import Tensor


def check_tensors(weights: Mapping[str, Tensor]) -> None:
    """Refuse tensors that no training run stores as weights.

    A stored view may repeat a few bytes over any shape, so that the first operation
    on it fills the memory: its size is checked against its bytes before its values.

    Raises:
        ValueError: a tensor is sparse, quantised or without data, repeats its bytes,
            or holds NaN or infinite values. The message names it.
    """
    for key, tensor in weights.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(
                f'{key} is no plain tensor (sparse, quantised or without data); '
                'a checkpoint of floating weights is needed'
            )
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(
                f'{key} claims the shape {tuple(tensor.shape)}, more than the file '
                'holds of it: the file is damaged or hostile'
            )
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise ValueError(
                f'{key} holds NaN or infinite values: the file is damaged, or its '
                'training diverged; take an earlier checkpoint'
            )


def _is_finite(tensor: Tensor) -> bool:
    # The 8-bit formats have no isfinite kernel.
    wide = tensor.float() if tensor.element_size() == 1 else tensor
    return bool(wide.isfinite().all())
