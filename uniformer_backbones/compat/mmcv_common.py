"""The one rule of precision that all fallback operators share."""

import torch
from torch import Tensor

HALF = (torch.float16, torch.bfloat16)


def full_precision(x: Tensor) -> Tensor:
    """Return half precision as float32, all else as it is (float64 stays float64)."""
    return x.float() if x.dtype in HALF else x
