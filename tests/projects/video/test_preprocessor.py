"""Normalising, erasing and mixing on the device, against arithmetic and timm."""

import random

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from timm.data.mixup import Mixup, rand_bbox

from projects.video.preprocessor import BatchMixup, ClipDataPreprocessor

CLASSES = 5


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  timm draws from it
    torch.manual_seed(seed)


def batch_of(count=4, frames=3, side=16, views=1):
    inputs = [
        torch.randint(0, 256, (views, 3, frames, side, side), dtype=torch.uint8)
        for _ in range(count)
    ]
    samples = [ActionDataSample().set_gt_label(i % CLASSES) for i in range(count)]
    return {'inputs': inputs, 'data_samples': samples}


def run(preprocessor, data, training=True):
    data = preprocessor(dict(data), training=training)
    return data['inputs'], [sample.gt_label for sample in data['data_samples']]


def test_clip_is_normalised_by_045_and_0225():
    data = batch_of()
    clips, labels = run(ClipDataPreprocessor(), data)
    expected = (torch.stack(data['inputs']) / 255 - 0.45) / 0.225
    assert clips.dtype == torch.float32
    assert torch.allclose(clips, expected, atol=1e-5)
    assert [label.tolist() for label in labels] == [[0], [1], [2], [3]]


@pytest.mark.parametrize('views', [1, 3])
def test_without_training_nothing_is_erased_or_mixed(views):
    data = batch_of(views=views)
    plain, _ = run(ClipDataPreprocessor(), data)
    full = ClipDataPreprocessor(
        erasing=dict(probability=1.0), mixing=dict(num_classes=CLASSES)
    )
    clips, labels = run(full, data, training=False)
    assert torch.equal(clips, plain)
    assert labels[3].tolist() == [3]


# Erasing -----------------------------------------------------------------------------


def test_one_box_per_clip_and_new_noise_per_frame():
    data = batch_of(count=8, frames=6, side=40)
    plain, _ = run(ClipDataPreprocessor(), data)
    seed_all(0)
    clips, _ = run(ClipDataPreprocessor(erasing=dict(probability=1.0)), data)
    boxes, noise = set(), []
    for clip, before in zip(clips[:, 0], plain[:, 0], strict=True):
        changed = clip != before
        assert (changed == changed[:1, :1]).all()  # all channels, all frames
        rows, columns = (changed[0, 0].any(i).nonzero().ravel() for i in (1, 0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        assert changed[0, 0, top:bottom, left:right].all()  # a box
        area = (bottom - top) * (right - left) / 40**2
        assert 0.015 < area < 0.36
        boxes.add((int(top), int(bottom), int(left), int(right)))
        noise.append(clip[:, :, top:bottom, left:right])
        assert not torch.equal(noise[-1][:, 0], noise[-1][:, 1])
    assert len(boxes) == 8
    values = torch.cat([part.flatten() for part in noise])
    assert values.mean() == pytest.approx(0, abs=0.05)  # not clipped to the uint8 range
    assert values.std() == pytest.approx(1, abs=0.05)
    # 0 - 255 normalised is -2 to 2.44: a clipped normal would end there.
    assert values.min() < -2.1
    assert values.max() > 2.6


def test_a_quarter_of_the_clips_is_erased_by_default():
    data = batch_of(count=400, frames=1, side=8)
    plain, _ = run(ClipDataPreprocessor(), data)
    seed_all(0)
    clips, _ = run(ClipDataPreprocessor(erasing={}), data)
    share = (clips != plain).flatten(1).any(1).float().mean()
    assert share == pytest.approx(0.25, abs=0.06)


def test_erased_areas_and_ratios_are_those_of_the_recipe():
    eraser = ClipDataPreprocessor(erasing=dict(probability=1.0)).erasing
    eraser.device = 'cpu'
    seed_all(1)
    images = eraser(torch.zeros(400, 1, 200, 200))
    changed = images[:, 0] != 0
    height = changed.any(2).sum(1).double()
    width = changed.any(1).sum(1).double()
    area, ratio = height * width / 200**2, (height / width).log()
    assert 0.018 < area.min() < 0.04
    assert 0.3 < area.max() < 0.336
    limit = np.log(1 / 0.3)
    assert ratio.abs().max() < limit + 0.05
    assert ratio.abs().max() > limit - 0.2


# Mixing ------------------------------------------------------------------------------


@pytest.mark.parametrize('seed', range(8))
def test_batch_is_mixed_as_timm_mixes_images(seed):
    data = batch_of(count=6, frames=3, side=20)
    plain, _ = run(ClipDataPreprocessor(), data)
    timm = Mixup(0.8, 1.0, num_classes=CLASSES)  # batch mode, prob 1, switch 0.5, 0.1
    seed_all(seed)
    expected, targets = timm(
        plain.reshape(6, 9, 20, 20).clone(),
        torch.tensor([i % CLASSES for i in range(6)]),
    )
    seed_all(seed)
    preprocessor = ClipDataPreprocessor(mixing=dict(num_classes=CLASSES))
    clips, labels = run(preprocessor, data)
    assert clips.shape == (6, 1, 3, 3, 20, 20)
    assert torch.equal(clips.reshape(6, 9, 20, 20), expected)
    assert torch.equal(torch.stack(labels), targets)


def test_mixup_is_the_sum_with_the_reversed_batch():
    data = batch_of()
    plain, _ = run(ClipDataPreprocessor(), data)
    seed_all(0)
    share = np.random.RandomState(0)  # the generator timm draws from
    share.rand()  # whether to mix
    share = share.beta(0.8, 0.8)
    mixing = dict(num_classes=CLASSES, cutmix_alpha=0.0)
    clips, labels = run(ClipDataPreprocessor(mixing=mixing), data)
    assert torch.allclose(clips, share * plain + (1 - share) * plain.flip(0), atol=1e-6)
    # Label 0 with label 3; smoothing 0.1 over 5 classes: 0.92 and 0.02.
    expected = [0.02, 0.02, 0.02, 0.02, 0.02]
    expected[0] += 0.9 * share
    expected[3] += 0.9 * (1 - share)
    assert labels[0].tolist() == pytest.approx(expected, abs=1e-6)
    assert labels[0].sum() == pytest.approx(1)


def test_cutmix_pastes_one_box_and_corrects_the_share_for_clipping():
    data = batch_of(count=4, frames=3, side=32)
    plain, _ = run(ClipDataPreprocessor(), data)
    mixing = dict(num_classes=CLASSES, mixup_alpha=0.0, label_smoothing=0.0)
    clipped = 0
    for seed in range(30):
        seed_all(seed)
        clips, labels = run(ClipDataPreprocessor(mixing=mixing), data)
        pasted = (clips != plain) & (clips == plain.flip(0))
        assert ((clips == plain) | pasted).all()
        box = pasted.flatten(0, 3).any(0)
        own = 1 - box.double().mean()
        assert labels[0][0] == pytest.approx(float(own), abs=1e-6)
        assert labels[0][3] == pytest.approx(float(1 - own), abs=1e-6)
        # An area that no square of the drawn share has: the border cut it.
        rows, columns = box.any(1).sum(), box.any(0).sum()
        clipped += bool(rows != columns)
    assert clipped > 5
    assert (
        rand_bbox((1, 1, 32, 32), 1.0)[1] >= 0
    )  # timm's box exists where we expect it


def test_repeated_augmentation_meets_another_clip_of_the_batch():
    # a a' b b' c c': partners are c' c b' b a' a, never the own twin but in the middle.
    data = batch_of(count=6)
    for index, sample in enumerate(data['data_samples']):
        sample.set_gt_label(index // 2)
    mixing = dict(num_classes=CLASSES, label_smoothing=0.0)
    seed_all(1)
    _, labels = run(ClipDataPreprocessor(mixing=mixing), data)
    classes = [label.nonzero().ravel().tolist() for label in labels]
    assert classes == [[0, 2], [0, 2], [1], [1], [0, 2], [0, 2]]


def test_an_odd_batch_is_mixed_too():
    seed_all(3)
    x, targets = BatchMixup(0.8, 0.0, num_classes=3)(
        torch.eye(3).view(3, 1, 1, 3), torch.arange(3)
    )
    assert x[1].tolist() == [[[0, 1, 0]]]
    assert torch.allclose(x.flip(0).flip(-1), x)
    assert targets[1].argmax() == 1


def test_clips_of_several_labels_are_refused():
    data = batch_of()
    data['data_samples'][1].set_gt_label([0, 2])
    with pytest.raises(ValueError, match='set mixing=None'):
        run(ClipDataPreprocessor(mixing=dict(num_classes=CLASSES)), data)


def test_preprocessor_is_registered_for_mmaction():
    assert MODELS.get('ClipDataPreprocessor') is ClipDataPreprocessor
