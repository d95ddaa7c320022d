"""The fallback operators, called as a model calls them: through ``mmcv.ops``."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch.autograd import gradcheck

import uniformer_backbones.compat as compat
from uniformer_backbones.compat.mmcv_ext import make_fallback_module

compat.install()

from mmcv import ops  # noqa: E402

from tests.compat.op_inputs import FALLBACK_ONLY, random_boxes  # noqa: E402

pytestmark = FALLBACK_ONLY


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def overlap(a, b, offset):
    """Intersection over union of two boxes, by the definition."""
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) + offset for i in (0, 1)]
    inter = max(sides[0], 0.0) * max(sides[1], 0.0)
    area = [(c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b)]
    return inter / (area[0] + area[1] - inter)


def naive_soft_nms(boxes, scores, threshold, sigma, min_score, method, offset):
    """The paper's loop: take the best, decay the rest, drop what is too low."""
    left = [[float(s), i] for i, s in enumerate(scores)]
    kept = []
    while left:
        best = max(left, key=lambda item: item[0])
        left.remove(best)
        kept.append(best)
        for item in left:
            iou = overlap(boxes[best[1]], boxes[item[1]], offset)
            if method == 'gaussian':
                item[0] *= math.exp(-(iou**2) / sigma)
            elif iou >= threshold:
                item[0] *= 1 - iou if method == 'linear' else 0
        left = [item for item in left if item[0] >= min_score]
    return [i for _, i in kept], [s for s, _ in kept]


@pytest.mark.parametrize('offset', [0, 1])
def test_nms_keeps_what_overlaps_no_better_box(offset):
    boxes, scores = random_boxes(60), torch.rand(60)
    dets, kept = ops.nms(boxes, scores, 0.3, offset=offset)
    expected = []
    for i in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[i], boxes[j], offset) <= 0.3 for j in expected):
            expected.append(i)
    assert kept.tolist() == expected
    torch.testing.assert_close(dets, torch.cat([boxes, scores[:, None]], 1)[kept])


def test_nms_offset_can_decide():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [3.0, 0.0, 7.0, 4.0]])
    scores = torch.tensor([0.9, 0.8])
    # 4 / 28 without the offset, 10 / 40 with it.
    assert len(ops.nms(boxes, scores, 0.2, offset=0)[1]) == 2
    assert len(ops.nms(boxes, scores, 0.2, offset=1)[1]) == 1


def test_nms_score_threshold_and_limit_come_from_mmcv():
    boxes, scores = random_boxes(40), torch.rand(40)
    _, all_kept = ops.nms(boxes, scores, 0.5)
    _, kept = ops.nms(boxes, scores, 0.5, score_threshold=0.4, max_num=3)
    assert kept.tolist() == [i for i in all_kept.tolist() if scores[i] > 0.4][:3]


def test_nms_takes_numpy_and_half_precision():
    boxes, scores = random_boxes(20), torch.linspace(0.1, 0.9, 20)
    expected = ops.nms(boxes.bfloat16().float(), scores.bfloat16().float(), 0.5)[1]
    assert torch.equal(ops.nms(boxes.bfloat16(), scores.bfloat16(), 0.5)[1], expected)
    kept = ops.nms(boxes.numpy(), scores.numpy(), 0.5)[1]
    assert isinstance(kept, np.ndarray)


@pytest.mark.parametrize('split', [5, 10000])
@pytest.mark.parametrize('kind', ['nms', 'soft_nms'])
def test_batched_nms_treats_classes_apart(kind, split):
    box = torch.tensor([[0.0, 0.0, 9.0, 9.0]]).repeat(6, 1)
    scores, classes = torch.linspace(0.9, 0.4, 6), torch.tensor([0, 1, 2, 0, 1, 2])
    cfg = {'type': kind, 'iou_threshold': 0.5, 'split_thr': split}
    if kind == 'soft_nms':
        cfg['method'] = 'naive'
    dets, kept = ops.batched_nms(box, scores, classes, cfg)
    assert kept.tolist() == [0, 1, 2]
    torch.testing.assert_close(dets[:, 4], scores[:3])
    agnostic = {**cfg, 'split_thr': 10000}
    assert ops.batched_nms(box, scores, classes, agnostic, True)[1].tolist() == [0]


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_soft_nms_matches_the_naive_loop(method, offset):
    boxes, scores = random_boxes(40, dtype=torch.float64), torch.rand(40).double()
    arguments = (0.3, 0.5, 0.05, method, offset)
    dets, kept = ops.soft_nms(boxes, scores, *arguments)
    expected, decayed = naive_soft_nms(boxes.tolist(), scores.tolist(), *arguments)
    assert kept.tolist() == expected
    np.testing.assert_allclose(dets[:, 4], decayed, rtol=1e-12)
    assert torch.equal(dets[:, :4], boxes[kept])
    assert 1 < len(expected) < 40


def test_soft_nms_of_empty_boxes_gives_no_nan():
    boxes = torch.tensor([[1.0, 1.0, 1.0, 1.0]] * 3)
    for method in ('naive', 'linear', 'gaussian'):
        dets, kept = ops.soft_nms(boxes, torch.tensor([0.5, 0.9, 0.7]), method=method)
        assert kept.tolist() == [1, 2, 0]
        assert dets[:, 4].tolist() == pytest.approx([0.9, 0.7, 0.5])


def test_no_boxes_give_no_detections():
    boxes, scores = torch.zeros(0, 4), torch.zeros(0)
    for call in (ops.nms, ops.soft_nms):
        dets, kept = call(boxes, scores, 0.5)
        assert dets.shape == (0, 5)
        assert kept.shape == (0,)
        assert kept.dtype == torch.long


def test_sigmoid_focal_loss_matches_torchvision_with_background():
    logits = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 4, 4, 1])  # 4 is the background
    onehot = F.one_hot(target, 5)[:, :4].double()
    expected = torchvision.ops.sigmoid_focal_loss(logits, onehot, 0.3, 1.7)
    for reduction, scale in (('none', 1), ('mean', 7), ('sum', 1)):
        got = ops.sigmoid_focal_loss(logits, target, 1.7, 0.3, None, reduction)
        whole = expected if reduction == 'none' else expected.sum() / scale
        torch.testing.assert_close(got, whole)
    seed = torch.rand_like(expected)
    none = ops.sigmoid_focal_loss(logits, target, 1.7, 0.3, None, 'none')
    grads = [torch.autograd.grad(t, logits, seed)[0] for t in (none, expected)]
    torch.testing.assert_close(*grads)


def test_sigmoid_focal_loss_weights_rows_by_their_class():
    logits, target = torch.randn(4, 3), torch.tensor([0, 2, 3, -1])
    plain = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'none')
    weight = torch.tensor([2.0, 5.0, 7.0])
    got = ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, 'none')
    factors = torch.tensor([2.0, 7.0, 1.0, 1.0])  # 1 for rows without a class
    torch.testing.assert_close(got, plain * factors[:, None])


@pytest.mark.parametrize('gamma', [0.0, 0.5, 2.0])
@pytest.mark.parametrize('weighted', [False, True])
def test_softmax_focal_loss_matches_its_formula(gamma, weighted):
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, -1, 2])  # -1 is ignored
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0]).double() if weighted else None
    log_p = logits.log_softmax(1).gather(1, target.clamp(min=0)[:, None])[:, 0]
    rows = -0.25 * (1 - log_p.exp()) ** gamma * log_p * (target >= 0)
    if weighted:
        rows = rows * weight[target.clamp(min=0)]
    for reduction, expected in (('mean', rows.sum() / 6), ('sum', rows.sum())):
        got = ops.softmax_focal_loss(logits, target, gamma, 0.25, weight, reduction)
        both = (got, expected)
        torch.testing.assert_close(*both)
        grads = [
            torch.autograd.grad(t, logits, retain_graph=True)[0]
            for t in (got, expected)
        ]
        torch.testing.assert_close(*grads)


@pytest.mark.parametrize('loss', [ops.sigmoid_focal_loss, ops.softmax_focal_loss])
def test_focal_losses_pass_gradcheck(loss):
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    target, weight = (
        torch.tensor([0, 1, 2, 2, 0]),
        torch.tensor([1.0, 2.0, 0.5]).double(),
    )
    assert gradcheck(lambda x: loss(x, target, 2.0, 0.25, weight, 'mean'), logits)


def test_focal_losses_survive_certainty():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    for target in ([0], [1]):
        for loss in (ops.sigmoid_focal_loss, ops.softmax_focal_loss):
            for gamma in (0.0, 0.5, 2.0):
                value = loss(logits, torch.tensor(target), gamma, 0.25)
                grad = torch.autograd.grad(value, logits)[0]
                assert value.isfinite()
                assert grad.isfinite().all()


def test_focal_losses_name_a_label_out_of_range():
    logits = torch.randn(1, 3)
    with pytest.raises(ValueError, match='label 4, allowed are up to 3'):
        ops.sigmoid_focal_loss(logits, torch.tensor([4]))
    with pytest.raises(ValueError, match='label 3, allowed are up to 2'):
        ops.softmax_focal_loss(logits, torch.tensor([3]))


@pytest.mark.parametrize('loss', [ops.sigmoid_focal_loss, ops.softmax_focal_loss])
def test_focal_losses_in_half_precision(loss):
    logits, target = torch.randn(5, 3), torch.tensor([0, 1, 2, 2, 0])
    half = logits.bfloat16().requires_grad_()
    got = loss(half, target)
    got.backward()
    assert got.dtype == half.grad.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), loss(logits, target), rtol=0.05, atol=0.01)


@pytest.mark.parametrize('name', ['bbox_overlaps', 'convex_iou', 'box_iou_rotated'])
def test_operator_without_fallback_says_so_when_called(name):
    box = torch.rand(2, 5 if 'rotated' in name else 4)
    with pytest.raises(NotImplementedError, match='install the compiled mmcv') as error:
        getattr(ops, name)(box, box)
    assert '\n' not in str(error.value)


def test_extension_answers_to_every_name_but_private_ones():
    module = make_fallback_module()
    assert hasattr(module, 'carafe_forward')
    assert not hasattr(module, '__path__')
    with pytest.raises(NotImplementedError, match="'carafe_forward' has no fallback"):
        module.carafe_forward(1, key=2)


def test_environment_report_still_works():
    # It asks the extension for its compiler as soon as mmcv.ops can be imported.
    assert 'fallback' in ops.get_compiler_version()
    assert ops.get_compiling_cuda_version() == 'n/a'
