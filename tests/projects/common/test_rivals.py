"""Two archs at equal input: each as its task uses it, timed by turns."""

import pytest
import torch

from projects.common.benchmark import Workload
from projects.common.rivals import build_arch, compare_archs

CPU = torch.device('cpu')
DENSE = {'attention': 'hybrid', 'out_indices': (0, 1, 2, 3), 'out_norm': 'layer'}


@pytest.mark.parametrize('train', [False, True])
def test_two_archs_are_timed_on_the_same_input(train):
    workload = Workload('clip', {'ndim': 3}, (1,), (2, 3, 2, 32, 32), train)
    found = compare_archs(workload, ('xxs', 'tiny'), CPU, ('fp32', 'fp32'), True, 0)
    assert (found.workload, found.shape) == ('clip', '2x3x2x32x32')
    assert found.lowest <= found.ratio <= found.highest
    assert found.ratio > 0
    assert (found.kept_ours is not None) is train


def test_hourglass_arch_leaves_the_windows_out():
    workload = Workload('dense', DENSE, (1,), (1,), False)
    assert build_arch('xxs', workload).arch.is_hourglass
    assert hasattr(build_arch('small', workload).blocks3[0].attn, 'window_size')
