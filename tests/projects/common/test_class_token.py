"""Both classifiers of the hourglass models: the mean of two losses, one prediction."""

import pytest
import torch
from mmaction.structures import ActionDataSample
from mmpretrain.structures import DataSample
from torch.nn.functional import cross_entropy

from projects.cls.light_head import LightHead
from projects.common.class_token import mean_losses
from projects.video.light_head import LightClipHead

CLASSES, WIDTH = 5, 8
LABELS = torch.tensor([3, 0])
HEADS = {
    'images': (LightHead, (2, WIDTH, 3, 4), DataSample),
    'clips': (LightClipHead, (2, WIDTH, 2, 3, 4), ActionDataSample),
}


@pytest.fixture(params=HEADS)
def case(request):
    """A head, features for it and the samples that it wants."""
    kind, size, sample = HEADS[request.param]
    head = kind(CLASSES, WIDTH)
    head.init_weights()
    samples = [sample().set_gt_label(int(label)) for label in LABELS]
    return head, (torch.randn(size), torch.randn(2, WIDTH)), samples


def test_loss_is_the_mean_over_both_classifiers(case):
    head, feats, samples = case
    linear = getattr(head, 'fc', None) or head.fc_cls
    of_map = linear(feats[0].flatten(2).mean(-1))
    of_token = head.head_cls(head.norm_cls(feats[1]))
    losses = head.loss(feats, samples)
    found = {key: value for key, value in losses.items() if 'loss' in key}
    assert set(found) == {'loss_cls', 'loss_token'}
    for scores, key in ((of_map, 'loss_cls'), (of_token, 'loss_token')):
        torch.testing.assert_close(found[key], cross_entropy(scores, LABELS) / 2)
    sum(found.values()).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


def test_prediction_is_that_of_the_map_alone(case):
    head, feats, samples = case
    head.eval()
    with torch.no_grad():
        before = head(feats)
        head.head_cls.weight.add_(1)
        other = (feats[0], feats[1] + 9)
        torch.testing.assert_close(head(other), before, rtol=0, atol=0)
        [first, _] = head.predict(feats, samples)
    scores = first.get('pred_score')
    assert scores.argmax() == before[0].argmax()


def test_token_is_scored_in_float32_under_autocast(case):
    head, feats, _ = case
    with torch.autocast('cpu', torch.bfloat16):
        scores = head.score_token((feats[0], feats[1].bfloat16()))
    assert scores.dtype == torch.float32


def test_what_is_no_loss_stays_that_of_the_map():
    ours = {'loss_cls': torch.tensor(4.0), 'top1_acc': torch.tensor(0.5)}
    token = {'loss_cls': torch.tensor(2.0), 'top1_acc': torch.tensor(0.9)}
    assert mean_losses(ours, token) == {
        'loss_cls': 2.0,
        'loss_token': 1.0,
        'top1_acc': 0.5,
    }
