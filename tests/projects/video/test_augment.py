"""Clip transforms: consistent over frames, boxes as drawn by torchvision."""

import random
from math import log

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import TRANSFORMS
from mmengine.registry import DefaultScope

import projects.video.augment
from projects.common.randaugment import TimmPolicy, apply_steps
from projects.video.augment import TimmRandAugment, TimmResizedCrop


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  timm and MMAction2 draw from it
    torch.manual_seed(seed)


def soft_frame(height=60, width=80):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def clip_results(frame, length=4):
    return {
        'imgs': [frame] * length,
        'img_shape': frame.shape[:2],
        'clip_len': length,
        'num_clips': 1,
        'modality': 'RGB',
    }


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
def test_all_frames_get_the_steps_of_the_policy(backend):
    frame = soft_frame()
    before = frame.copy()
    transform = TimmRandAugment('rand-m9-n4-mstd0.5-inc1', backend=backend)
    policy = TimmPolicy('rand-m9-n4-mstd0.5-inc1')
    for seed in range(20):
        seed_all(seed)
        images = transform(clip_results(frame))['imgs']
        seed_all(seed)
        (expected,) = apply_steps(policy.draw(), [frame], backend)
        assert len(images) == 4
        assert all(np.array_equal(image, expected) for image in images)
    assert np.array_equal(frame, before)


def test_two_augmentations_of_one_decode_do_not_meet():
    frame = soft_frame()
    results = clip_results(frame)
    transform = TimmRandAugment()
    seed_all(0)
    seen = {
        transform(dict(results))['imgs'][0].tobytes()
        for _ in range(8)  # RepeatAugDataset hands the same frames out again
    }
    assert len(seen) > 4
    assert np.array_equal(results['imgs'][0], frame)


def test_box_has_the_official_area_and_ratio():
    seed_all(0)
    boxes = np.array(
        [
            TimmResizedCrop.get_crop_bbox((1000, 1000), (0.08, 1.0), (3 / 4, 4 / 3))
            for _ in range(3000)
        ]
    )
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() >= 0
    assert boxes.max() <= 1000
    area, ratio = width * height / 1e6, np.log(width / height)
    assert area.min() == pytest.approx(0.08, abs=0.01)
    assert np.abs(ratio).max() <= log(4 / 3) + 0.01
    # Uniform as long as every ratio fits: area * 4/3 <= 1.
    fits = area < 0.75
    counts, _ = np.histogram(area[fits], 4, (0.08, 0.75))
    assert counts / counts.sum() == pytest.approx([0.25] * 4, abs=0.04)
    counts, _ = np.histogram(ratio[fits], 4, (-log(4 / 3), log(4 / 3)))
    assert counts / counts.sum() == pytest.approx([0.25] * 4, abs=0.04)


@pytest.mark.parametrize(
    ('shape', 'box'),
    [
        ((10, 1000), (494, 0, 507, 10)),  # 10 * 4/3 = 13 wide, from (1000 - 13) // 2
        ((1000, 10), (0, 494, 10, 507)),
    ],
)
def test_a_frame_too_narrow_for_any_box_gives_the_widest_allowed(shape, box):
    # Whole area asked for, so that all ten attempts fail.
    found = TimmResizedCrop.get_crop_bbox(shape, (1.0, 1.0), (3 / 4, 4 / 3))
    left, top, right, bottom = found
    assert found == pytest.approx(box, abs=1)
    assert min(right - left, bottom - top) == 10


def test_crop_and_resize_is_the_official_bilinear_rounded():
    frame = soft_frame(90, 120)
    with DefaultScope.overwrite_default_scope('mmaction'):
        crop = TRANSFORMS.build(dict(type='TimmResizedCrop'))
        resize = TRANSFORMS.build(dict(type='Resize', scale=(32, 32), keep_ratio=False))
    for seed in range(20):
        seed_all(seed)
        results = crop(clip_results(frame))
        left, top, right, bottom = results['crop_bbox']
        images = resize(results)['imgs']
        part = torch.from_numpy(frame[top:bottom, left:right].copy())
        expected = F.interpolate(
            part.permute(2, 0, 1)[None].float(), (32, 32), mode='bilinear'
        )
        difference = torch.from_numpy(images[0]).permute(2, 0, 1) - expected[0]
        assert difference.abs().max() < 1  # cv2 weighs by multiples of 1/2048
        assert all(np.array_equal(image, images[0]) for image in images)


def test_training_pipeline_runs_from_frames_to_inputs():
    with DefaultScope.overwrite_default_scope('mmaction'):
        steps = [
            TRANSFORMS.build(cfg)
            for cfg in (
                dict(type='TimmRandAugment', policy='rand-m5-n2-mstd0.25'),
                dict(type='TimmResizedCrop'),
                dict(type='Resize', scale=(32, 32), keep_ratio=False),
                dict(type='Flip', flip_ratio=0.5),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs'),
            )
        ]
    frame = soft_frame()
    before = frame.copy()
    for seed in range(10):
        seed_all(seed)
        results = clip_results(frame) | {'label': 3}
        for step in steps:
            results = step(results)
        assert results['inputs'].shape == (1, 3, 4, 32, 32)
        assert results['inputs'].dtype == torch.uint8
        assert (results['inputs'] == results['inputs'][:, :, :1]).all()
    assert np.array_equal(frame, before)  # Flip works in place


def test_unknown_backend_is_named():
    with pytest.raises(ValueError, match="got 'opencv'"):
        TimmRandAugment(backend='opencv')


def test_transforms_are_registered_for_mmaction():
    for name in ('TimmRandAugment', 'TimmResizedCrop'):
        assert TRANSFORMS.get(name) is getattr(projects.video.augment, name)
