"""Checks of tensors that come from a file, before anything is computed with them."""

import os
from collections.abc import Mapping

import torch
from torch import Tensor


def check_plain(
    weights: Mapping[str, Tensor], file: str | os.PathLike[str] | None = None
) -> None:
    """Refuse tensors that no training run stores as weights. Looks at no value.

    A stored view may repeat a few bytes over any shape, or claim memory that was never
    written, so that the first operation on it fills the memory.

    Args:
        weights: key to tensor.
        file: that they were read from; none of them is larger.

    Raises:
        ValueError: a tensor is sparse, quantised or without data, or is larger than
            what is stored of it. The message names it.
    """
    limit = os.path.getsize(file) if file is not None else None
    for key, tensor in weights.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(
                f'{key} is no plain tensor (sparse, quantised or without data); '
                'a checkpoint of floating weights is needed'
            )
        size = tensor.numel() * tensor.element_size()
        stored = tensor.untyped_storage().nbytes()
        if size > (stored if limit is None else min(stored, limit)):
            raise ValueError(
                f'{key} claims the shape {tuple(tensor.shape)}, more than the file '
                'holds of it: the file is damaged or hostile'
            )


def check_finite(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that no model can use.

    Raises:
        ValueError: a tensor holds NaN or infinite values. The message names it.
    """
    for key, tensor in weights.items():
        if not tensor.is_floating_point():
            continue
        # The 8-bit formats have no isfinite kernel.
        wide = tensor.float() if tensor.element_size() == 1 else tensor
        if not wide.isfinite().all():
            raise ValueError(
                f'{key} holds NaN or infinite values: the file is damaged, or its '
                'training diverged; take an earlier checkpoint'
            )
