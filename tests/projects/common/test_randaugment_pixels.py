"""The timm grammar on pixels: every draw and every pixel against timm itself."""

import pickle

import cv2
import numpy as np
import pytest
from PIL import Image
from timm.data import auto_augment as timm_ops

from projects.common.randaugment import (
    GEOMETRY,
    Step,
    TimmPolicy,
    apply_steps,
    replay_geometry,
)
from tests.randaugment_draws import NAMES, draw_many, seed_all

STRINGS = (
    'rand-m9-mstd0.5-inc1',
    'rand-m7-n4-mstd0.5-inc1',
    'rand-m5-n2-mstd0.25',
    'rand',
    'v0',
)


@pytest.fixture(scope='module')
def frame():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (46, 62, 3), dtype=np.uint8)
    return (cv2.GaussianBlur(noise, (0, 0), 4) * 0.9 + 5).astype(np.uint8)


@pytest.mark.parametrize('interpolation', ['bicubic', 'random'])
@pytest.mark.parametrize('text', STRINGS)
def test_frames_equal_those_of_timm_with_the_same_seed(text, interpolation, frame):
    fill = (124, 116, 104)
    hparams = {'img_mean': fill}
    if interpolation == 'bicubic':
        hparams['interpolation'] = Image.Resampling.BICUBIC
    make = (
        timm_ops.auto_augment_transform
        if text == 'v0'
        else timm_ops.rand_augment_transform
    )
    transform, policy = make(text, hparams), TimmPolicy(text, fill, interpolation)
    changed = 0
    for seed in range(80):
        seed_all(seed)
        expected = np.asarray(transform(Image.fromarray(frame)))
        seed_all(seed)
        (ours,) = apply_steps(policy.draw(), [frame], backend='pillow')
        assert np.array_equal(ours, expected)
        changed += not np.array_equal(ours, frame)
    assert changed > 30


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize(
    ('name', 'args'),
    [
        ('AutoContrast', [()]),
        ('Equalize', [()]),
        ('Invert', [()]),
        ('Posterize', [(0,), (2,), (4,)]),
        ('Solarize', [(0,), (77,), (256,)]),
        ('SolarizeAdd', [(0,), (77,), (110,)]),
        ('Color', [(0.1,), (1.9,)]),
        ('Contrast', [(0.1,), (0.37,), (1.9,)]),
        ('Brightness', [(0.1,), (0.37,), (1.63,), (1.9,)]),
        ('Sharpness', [(0.1,), (1.9,)]),
    ],
)
def test_colour_ops_are_bit_equal_to_timm_on_any_backend(name, args, backend, frame):
    rng = np.random.default_rng(1)
    dark = (frame // 4).astype(np.uint8)
    noise = rng.integers(0, 256, frame.shape, dtype=np.uint8)
    flat = np.full_like(frame, 77)
    two = np.where(noise > 200, 250, 3).astype(np.uint8)
    tiny = noise[:5, :7]  # fewer pixels than levels
    for image in (frame, dark, noise, flat, two, tiny):
        for values in args:
            step = Step(name, values)
            expected = np.asarray(step.apply_pillow(Image.fromarray(image)))
            assert np.array_equal(step.apply(image, backend), expected)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('Rotate', 17.0),
        ('Rotate', -25.0),
        ('ShearX', 0.24),
        ('ShearY', -0.21),
        ('TranslateXRel', 0.31),
        ('TranslateYRel', -0.405),
    ],
)
def test_cv2_moves_pixels_as_timm_does_but_for_its_kernel(name, value, frame):
    step = Step(name, (value,))
    ours, timms = step.apply(frame), step.apply(frame, 'pillow')
    difference = np.abs(ours.astype(int) - timms)
    inside = cv2.erode((timms != 128).any(-1).astype(np.uint8), np.ones((5, 5))) > 0
    assert inside.mean() > 0.3
    assert difference[inside].mean() < 1  # a wrong sign or centre gives 10 to 40
    assert difference[inside].max() <= 12
    fill = (ours == 128).all(-1)
    assert (fill & (timms == 128).all(-1)).sum() > 0.9 * fill.sum() > 0


# Clips and label maps ----------------------------------------------------------------


def test_all_frames_of_a_clip_get_the_same_steps_and_stay_as_they_are(frame):
    clip = [frame] * 4
    before = frame.copy()
    for steps in draw_many('rand-m9-n4-mstd0.5-inc1', 30):
        first, *others = apply_steps(steps, clip)
        assert all(np.array_equal(first, other) for other in others)
    assert np.array_equal(frame, before)


@pytest.mark.parametrize('interpolation', ['nearest', 'bilinear'])
def test_label_map_moves_with_the_image(interpolation):
    # A square away from the centre, in the image and in a map an eighth its size.
    image = np.zeros((144, 192, 3), np.uint8)
    image[24:80, 32:96] = 255
    maps = np.zeros((2, 3, 18, 24), np.float16)
    maps[..., 3:10, 4:12] = 1
    for steps in (
        (Step('Rotate', (25.0,), (0, 0, 0)),),
        (Step('ShearX', (0.27,), (0, 0, 0)), Step('Color', (0.1,))),
        (
            Step('TranslateXRel', (0.25,), (0, 0, 0)),
            Step('TranslateYRel', (-0.2,), (0, 0, 0)),
        ),
    ):
        moved = apply_steps(steps, [image], 'pillow')[0][..., 0] / 255
        small = cv2.resize(moved, (24, 18), interpolation=cv2.INTER_AREA)
        labels = replay_geometry(steps, maps, interpolation)
        assert labels.shape == maps.shape
        assert labels.dtype == maps.dtype
        assert np.array_equal(labels[0, 0], labels[1, 2])
        error = np.abs(labels[0, 0] - small).mean()
        assert error < 0.35 * np.abs(maps[0, 0] - small).mean()


def test_colours_leave_a_label_map_alone():
    maps = np.arange(12, dtype=np.int64).reshape(1, 3, 4)
    steps = [Step(name, ()) for name in NAMES if name not in GEOMETRY]
    assert replay_geometry(steps, maps).tolist() == maps.tolist()
    assert len(GEOMETRY) == 5


def test_policy_survives_the_trip_to_a_worker(frame):
    policy = TimmPolicy('rand-m9-mstd0.5-inc1', interpolation='random')
    twin = pickle.loads(pickle.dumps(policy))
    for seed in range(10):
        seed_all(seed)
        ours = policy.draw()
        seed_all(seed)
        assert twin.draw() == ours
