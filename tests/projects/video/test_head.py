"""The head inside MMAction2's recogniser: tuples, soft targets, precision, views."""

import pytest
import torch
from mmaction.registry import METRICS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.registry import DefaultScope

from projects.video.head import ClipHead

ARCH = dict(depths=(1, 1, 1, 1), embed_dims=(8, 8, 16, 16), head_dim=8)


def make_model(num_classes=6, mixing=True):
    model = dict(
        type='Recognizer3D',
        backbone=dict(type='uniformer_backbones.UniFormer', arch=ARCH, ndim=3),
        cls_head=dict(type='ClipHead', num_classes=num_classes, in_channels=16),
        data_preprocessor=dict(
            type='ClipDataPreprocessor',
            erasing={},
            mixing=dict(num_classes=num_classes) if mixing else None,
        ),
    )
    with DefaultScope.overwrite_default_scope('mmaction'):
        model = MODELS.build(model)
    model.init_weights()
    return model


def make_data(labels, views=1):
    inputs = [
        torch.randint(0, 256, (views, 3, 4, 32, 32), dtype=torch.uint8) for _ in labels
    ]
    samples = [ActionDataSample().set_gt_label(label) for label in labels]
    return {'inputs': inputs, 'data_samples': samples}


def losses_of(model, labels):
    data = model.data_preprocessor(make_data(labels), training=True)
    return model(**data, mode='loss'), data


@pytest.mark.parametrize('count', [1, 2, 3])
def test_soft_targets_give_the_soft_cross_entropy(count):
    model = make_model()
    losses, data = losses_of(model, list(range(count)))
    with torch.no_grad():
        scores = model(data['inputs'], mode='tensor', stage='head')
    targets = torch.stack([sample.gt_label for sample in data['data_samples']])
    assert targets.shape == (count, 6)
    assert targets.sum(1).tolist() == pytest.approx([1.0] * count)
    expected = -(targets * scores.log_softmax(1)).sum(1).mean()
    assert losses['loss_cls'].item() == pytest.approx(expected.item(), rel=1e-4)
    losses['loss_cls'].backward()
    assert model.cls_head.fc_cls.weight.grad.abs().sum() > 0
    assert model.backbone.patch_embed1.proj.weight.grad.abs().sum() > 0


@pytest.mark.parametrize('num_classes', [2, 6])
def test_hard_labels_give_cross_entropy_and_accuracy(num_classes):
    losses, _ = losses_of(make_model(num_classes, mixing=False), [0, 1, 1])
    assert losses.keys() == {'loss_cls', 'top1_acc', 'top5_acc'}
    if num_classes < 5:
        assert losses['top5_acc'] == 1


@torch.no_grad()
def test_scores_and_loss_are_float32_under_autocast():
    model = make_model(mixing=False)
    with torch.autocast('cpu', torch.bfloat16):
        feats = model.extract_feat(torch.randn(2, 1, 3, 4, 32, 32))[0]
        assert feats[-1].dtype == torch.bfloat16
        losses, _ = losses_of(model, [0, 1])  # would need NumPy's bfloat16
        scores = model.cls_head(feats)
        predictions = model.test_step(make_data([1, 2], views=2))
    assert scores.dtype == losses['loss_cls'].dtype == torch.float32
    assert predictions[0].pred_score.numpy().dtype == 'float32'
    expected = model.cls_head.fc_cls(feats[-1].float().mean((2, 3, 4)))
    assert torch.equal(scores, expected)


@pytest.mark.parametrize('max_views', [None, 2])
@torch.no_grad()
def test_score_of_a_video_is_the_mean_of_its_views_raw_logits(max_views):
    model = make_model().eval()
    if max_views:
        model.test_cfg = dict(max_testing_views=max_views)
    data = make_data([2], views=4)
    (prediction,) = model.test_step(data)
    views = (data['inputs'][0] - 114.75) / 57.375
    scores = model.cls_head(model.backbone(views))
    assert torch.allclose(prediction.pred_score, scores.mean(0), atol=1e-5)
    assert prediction.pred_label == scores.mean(0).argmax()
    assert not torch.allclose(
        prediction.pred_score.softmax(0), scores.softmax(1).mean(0), atol=1e-7
    )


@pytest.mark.parametrize('num_classes', [2, 3, 6])
@torch.no_grad()
def test_validation_works_with_fewer_than_five_classes(num_classes):
    model = make_model(num_classes).eval()
    metric = METRICS.build(dict(type='AccMetric'))
    for _ in range(2):
        predictions = model.val_step(make_data([0, 1]))
        metric.process(None, [sample.to_dict() for sample in predictions])
    results = metric.evaluate(4)
    assert results.keys() == {'acc/top1', 'acc/top5', 'acc/mean1'}
    if num_classes < 5:
        assert results['acc/top5'] == 1


def test_head_starts_as_the_official_one():
    head = ClipHead(400, 512)
    head.init_weights()
    assert head.dropout is None
    assert head.fc_cls.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert head.fc_cls.bias.abs().max() == 0


def test_dropout_is_there_if_asked_for():
    head = ClipHead(3, 4, dropout_ratio=0.99)
    maps = (torch.ones(2, 4, 1, 2, 2),)
    assert torch.allclose(head(maps), head.fc_cls.bias.expand(2, 3))
    assert torch.allclose(head.eval()(maps), head(maps[-1]))
