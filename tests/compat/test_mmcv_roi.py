"""RoIAlign and RoIPool through ``mmcv.ops``."""

import math

import pytest
import torch
import torchvision
from torch.autograd import gradcheck

import uniformer_backbones.compat as compat

compat.install()

from mmcv import ops  # noqa: E402

from tests.compat.op_inputs import FALLBACK_ONLY, HALVES, random_rois  # noqa: E402

pytestmark = FALLBACK_ONLY


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def naive_roi_pool(features, rois, size, scale):
    """mmcv's CUDA kernel, cell by cell: bins are not rounded to whole cells."""
    height, width = features.shape[-2:]
    out = torch.zeros(len(rois), features.size(1), size, size, dtype=features.dtype)
    for k, (index, x1, y1, x2, y2) in enumerate(rois.tolist()):
        low, high = (x1 * scale, y1 * scale), ((x2 + 1) * scale, (y2 + 1) * scale)
        side = [(high[i] - low[i]) / size for i in (0, 1)]
        if min(side) <= 0:
            continue
        for i in range(size):
            for j in range(size):
                left = min(max(math.floor(j * side[0] + low[0]), 0), width)
                right = min(max(math.ceil((j + 1) * side[0] + low[0]), 0), width)
                top = min(max(math.floor(i * side[1] + low[1]), 0), height)
                down = min(max(math.ceil((i + 1) * side[1] + low[1]), 0), height)
                if right > left and down > top:
                    cells = features[int(index), :, top:down, left:right]
                    out[k, :, i, j] = cells.amax(dim=(1, 2))
    return out


def sample(plane, y, x):
    """Bilinear value of one plane, as RoIAlign defines it at the border."""
    height, width = plane.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    b, a = y - top, x - left
    above = (1 - a) * plane[top, left] + a * plane[top, right]
    below = (1 - a) * plane[down, left] + a * plane[down, right]
    return (1 - b) * above + b * below


def naive_roi_align(features, rois, size, scale, ratio, aligned):
    out = torch.zeros(len(rois), features.size(1), size, size, dtype=features.dtype)
    shift = 0.5 if aligned else 0.0
    for k, (index, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (value * scale - shift for value in box)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1.0), max(h, 1.0)
        grid_h = ratio or math.ceil(h / size)
        grid_w = ratio or math.ceil(w / size)
        for c, plane in enumerate(features[int(index)]):
            for i in range(size):
                for j in range(size):
                    values = [
                        sample(
                            plane,
                            y1 + h / size * (i + (p + 0.5) / grid_h),
                            x1 + w / size * (j + (q + 0.5) / grid_w),
                        )
                        for p in range(grid_h)
                        for q in range(grid_w)
                    ]
                    out[k, c, i, j] = sum(values) / max(len(values), 1)
    return out


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
def test_roi_align_matches_the_naive_loop_and_torchvision(ratio, aligned):
    features = torch.randn(2, 2, 9, 8, dtype=torch.float64)
    rois = random_rois(5, dtype=torch.float64)
    got = ops.roi_align(features, rois, 3, 0.25, ratio, 'avg', aligned)
    expected = naive_roi_align(features, rois, 3, 0.25, ratio, aligned)
    torch.testing.assert_close(got, expected)
    other = torchvision.ops.roi_align(features, rois, 3, 0.25, ratio, aligned)
    assert torch.equal(got, other)


@pytest.mark.parametrize('aligned', [True, False])
def test_roi_align_passes_gradcheck(aligned):
    features = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    rois = random_rois(3, size=20, dtype=torch.float64)
    layer = ops.RoIAlign((2, 3), 0.25, 2, 'avg', aligned)
    assert gradcheck(lambda x: layer(x, rois), features)


@pytest.mark.parametrize('dtype', HALVES)
@pytest.mark.parametrize('op', ['roi_align', 'roi_pool'])
def test_half_precision_maps_with_float_boxes(op, dtype):
    features, rois = torch.randn(2, 3, 9, 8).to(dtype), random_rois(4)
    half = features.clone().requires_grad_()
    full = features.float().requires_grad_()
    got, expected = (getattr(ops, op)(x, rois, 2, 0.25) for x in (half, full))
    assert got.dtype == dtype
    torch.testing.assert_close(got, expected.to(dtype))
    got.sum().backward()
    expected.sum().backward()
    assert half.grad.dtype == dtype
    torch.testing.assert_close(half.grad, full.grad.to(dtype))


def test_roi_align_works_under_autocast():
    features, rois = torch.randn(1, 2, 8, 8, requires_grad=True), random_rois(3, 1)
    with torch.autocast('cpu', torch.bfloat16):
        maps = torch.nn.functional.conv2d(features, torch.randn(2, 2, 1, 1))
        assert maps.dtype == torch.bfloat16
        ops.roi_align(maps, rois, 2, 0.25).float().sum().backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize('op', ['roi_align', 'roi_pool'])
def test_no_regions_give_zero_gradient(op):
    features = torch.randn(1, 2, 8, 8, requires_grad=True)
    out = getattr(ops, op)(features, torch.zeros(0, 5), (2, 3), 0.25)
    assert out.shape == (0, 2, 2, 3)
    out.sum().backward()
    assert torch.equal(features.grad, torch.zeros(1, 2, 8, 8))


def test_roi_align_refuses_maximum_pooling():
    with pytest.raises(NotImplementedError, match=r"'roi_align' .* compiled mmcv"):
        ops.roi_align(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2, 1.0, 2, 'max')


@pytest.mark.parametrize('scale', [1.0, 0.25, 0.3])
def test_roi_pool_matches_the_kernel_of_mmcv(scale):
    features = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    rois = random_rois(12, dtype=torch.float64)
    rois[0, 1:] = torch.tensor([-50.0, -50.0, -40.0, -40.0])  # outside
    rois[1, 1:] = torch.tensor([5.0, 5.0, 2.0, 2.0])  # malformed
    rois[2, 1:] = torch.tensor([-9.0, -9.0, 90.0, 90.0])  # clipped
    got = ops.roi_pool(features, rois, 3, scale)
    assert torch.equal(got, naive_roi_pool(features, rois, 3, scale))


def test_roi_pool_equals_torchvision_on_whole_cells():
    # The two differ in rounding only, and whole cells need none.
    features = torch.randn(2, 3, 12, 12, requires_grad=True)
    rois = random_rois(10, size=11).floor()
    got = ops.RoIPool(3)(features, rois)
    expected = torchvision.ops.roi_pool(features, rois, 3)
    assert torch.equal(got, expected)
    seed = torch.rand_like(got)
    grads = [torch.autograd.grad(t, features, seed)[0] for t in (got, expected)]
    torch.testing.assert_close(*grads)


def test_roi_pool_passes_gradcheck():
    # Distinct values, so that no maximum changes under gradcheck's small step.
    features = torch.randperm(2 * 2 * 42).view(2, 2, 6, 7).double().requires_grad_()
    rois = random_rois(4, size=20, dtype=torch.float64)
    assert gradcheck(lambda x: ops.roi_pool(x, rois, (2, 3), 0.25), features)


def test_roi_pool_sends_the_gradient_of_a_flat_bin_to_its_first_cell():
    features = torch.zeros(1, 1, 4, 4, requires_grad=True)
    ops.roi_pool(
        features, torch.tensor([[0.0, 1.0, 1.0, 3.0, 3.0]]), 1
    ).sum().backward()
    assert features.grad.nonzero().tolist() == [[0, 0, 1, 1]]


def test_roi_pool_of_a_malformed_region_has_no_gradient():
    features = torch.ones(1, 1, 4, 4, requires_grad=True)
    out = ops.roi_pool(features, torch.tensor([[0.0, 3.0, 3.0, 1.0, 1.0]]), 2)
    assert not out.any()
    out.sum().backward()
    assert not features.grad.any()
