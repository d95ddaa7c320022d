"""Random boxes for the tests of the operators, and when those tests make sense."""

import sys

import pytest
import torch

import uniformer_backbones.compat as compat

compat.install()

FALLBACK_ONLY = pytest.mark.skipif(
    sys.modules['mmcv._ext'].__spec__.loader is not None,
    reason='a compiled mmcv is in use; see compare_compiled.py',
)
HALVES = [torch.bfloat16, torch.float16]


def random_boxes(count, size=30.0, dtype=torch.float32):
    corners = torch.rand(count, 2, 2, dtype=dtype) * size
    low, high = corners.min(dim=1).values, corners.max(dim=1).values
    return torch.cat([low, high + 1], dim=1)


def random_rois(count, batch=2, size=30.0, dtype=torch.float32):
    index = torch.randint(batch, (count, 1)).to(dtype)
    return torch.cat([index, random_boxes(count, size, dtype)], dim=1)
