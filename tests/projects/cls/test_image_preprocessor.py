"""Normalising, erasing, mixing and smoothing of images, against arithmetic and timm."""

import random

import numpy as np
import pytest
import torch
from mmpretrain.models.losses import LabelSmoothLoss
from mmpretrain.structures import DataSample
from timm.data.mixup import Mixup, mixup_target
from timm.loss import SoftTargetCrossEntropy

from projects.cls.preprocessor import ImageDataPreprocessor

CLASSES = 10
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def preprocessor(**options):
    return ImageDataPreprocessor(
        mean=MEAN, std=STD, to_rgb=True, num_classes=CLASSES, **options
    )


def batch_of(count=4, side=16):
    return {
        'inputs': torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8),
        'data_samples': [DataSample().set_gt_label(i % CLASSES) for i in range(count)],
    }


def run(module, data, training=True):
    data = {
        'inputs': data['inputs'].clone(),
        'data_samples': [sample.clone() for sample in data['data_samples']],
    }
    return module(data, training=training)


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  timm draws from it
    torch.manual_seed(seed)


def test_images_are_normalised_by_imagenets_mean_and_deviation_as_rgb():
    data = batch_of()
    out = run(preprocessor(), data)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = data['inputs'].flip(1).float() / 255
    expected = (rgb - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert torch.allclose(out['inputs'], expected, atol=1e-5)


def test_without_training_nothing_is_erased_or_mixed():
    data = batch_of()
    full = preprocessor(erasing={'probability': 1.0}, mixing={})
    out = run(full, data, training=False)
    assert torch.equal(out['inputs'], run(preprocessor(), data)['inputs'])
    assert all('gt_score' not in sample for sample in out['data_samples'])


def test_a_quarter_is_erased_by_one_box_of_noise_after_normalisation():
    data = batch_of(count=400, side=32)
    plain = run(preprocessor(), data)['inputs']
    seed_all(0)
    erased = run(preprocessor(erasing={}), data)['inputs']
    changed = (erased != plain).any(1)
    hit = changed.flatten(1).any(1)
    assert hit.float().mean().item() == pytest.approx(0.25, abs=0.06)
    shares = []
    for mask in changed[hit]:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        height = int(rows.max() - rows.min()) + 1
        width = int(columns.max() - columns.min()) + 1
        assert mask.sum() >= 0.99 * height * width  # one box
        shares.append(height * width / mask.numel())
        assert 0.25 < height / width < 3.7
    assert min(shares) > 0.015
    assert 0.28 < max(shares) < 0.36
    noise = erased.movedim(1, -1)[changed]
    assert noise.mean().item() == pytest.approx(0, abs=0.02)
    assert noise.std().item() == pytest.approx(1, abs=0.02)
    assert noise.abs().max() > 3  # not clipped to what uint8 can hold


def test_partner_is_the_reversed_batch_and_targets_follow_the_share():
    data = batch_of(count=4)
    plain = run(preprocessor(), data)['inputs']
    seed_all(3)
    out = run(preprocessor(mixing={'cutmix_alpha': 0.0}), data)
    scores = torch.stack([sample.gt_score for sample in out['data_samples']])
    share = scores[0, 0]
    assert 0 < share < 1
    assert torch.allclose(scores[0], share * onehot(0) + (1 - share) * onehot(3))
    expected = share * plain + (1 - share) * plain.flip(0)
    assert torch.allclose(out['inputs'], expected, atol=1e-5)


def onehot(label):
    return torch.eye(CLASSES)[label]


@pytest.mark.parametrize('seed', range(6))
def test_mixing_and_smoothing_are_those_of_timm(seed):
    """Mixed images, and the loss of smoothed targets, for mixup as for CutMix."""
    data = batch_of(count=6)
    plain = run(preprocessor(), data)['inputs']
    labels = torch.cat([sample.gt_label for sample in data['data_samples']])
    seed_all(seed)
    official = Mixup(
        mixup_alpha=0.8,
        cutmix_alpha=1.0,
        prob=1.0,
        switch_prob=0.5,
        mode='batch',
        label_smoothing=0.1,
        num_classes=CLASSES,
    )
    images, targets = official(plain.clone(), labels)
    seed_all(seed)
    out = run(preprocessor(mixing={}), data)
    assert torch.allclose(out['inputs'], images, atol=1e-5)
    logits = torch.randn(6, CLASSES)
    loss = LabelSmoothLoss(label_smooth_val=0.1, mode='original')
    scores = torch.stack([sample.gt_score for sample in out['data_samples']])
    expected = SoftTargetCrossEntropy()(logits, targets)
    assert loss(logits, scores).item() == pytest.approx(expected.item(), rel=1e-5)


def test_smoothed_targets_are_09001_and_00001_for_a_thousand_classes():
    loss = LabelSmoothLoss(label_smooth_val=0.1, mode='original', num_classes=1000)
    target = loss.original_smooth_label(torch.eye(1000)[:1])
    assert target[0, 0].item() == pytest.approx(0.9001)
    assert target[0, 1].item() == pytest.approx(0.0001)
    timm = mixup_target(torch.tensor([0]), 1000, 1.0, 0.1)
    assert torch.allclose(target, timm)


def test_an_odd_batch_is_mixed_too():
    seed_all(0)
    out = run(preprocessor(mixing={}), batch_of(count=3))
    scores = torch.stack([sample.gt_score for sample in out['data_samples']])
    assert torch.allclose(scores.sum(1), torch.ones(3))
    assert scores[1, 1] == 1  # the middle meets itself


def test_mixing_needs_the_number_of_classes():
    with pytest.raises(ValueError, match='num_classes'):
        ImageDataPreprocessor(mixing={})
