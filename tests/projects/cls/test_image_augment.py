"""The image transform equals timm's on RGB; the sampler and the crops are counted."""

import random

import numpy as np
import pytest
from mmpretrain.datasets.samplers import repeat_aug
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from timm.data.auto_augment import rand_augment_transform

from projects.cls.augment import IMAGE_FILL, TimmImageAugment

POLICY = 'rand-m9-mstd0.5-inc1'


@pytest.fixture
def image():
    """BGR, of smooth colours."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    return np.asarray(Image.fromarray(noise).resize((60, 48), Image.BICUBIC))


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  timm draws from it


def test_fill_is_imagenets_mean_rounded():
    mean = (0.485, 0.456, 0.406)
    assert tuple(round(255 * value) for value in mean) == IMAGE_FILL


@pytest.mark.parametrize('seed', range(12))
def test_pixels_are_timms_in_rgb(image, seed):
    options = {'img_mean': IMAGE_FILL, 'interpolation': Image.BICUBIC}
    timm = rand_augment_transform(POLICY, options)
    rgb = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    seed_all(seed)
    expected = np.asarray(timm(rgb))[..., ::-1]
    seed_all(seed)
    result = TimmImageAugment(POLICY).transform({'img': image.copy()})['img']
    assert np.array_equal(result, expected)
    assert result.flags.c_contiguous


def test_a_backend_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match='cv2, pillow'):
        TimmImageAugment(backend='torch')


@pytest.mark.parametrize('rank', [0, 7])
def test_repeats_of_imagenet_make_1251_steps_on_8_gpus(monkeypatch, rank):
    monkeypatch.setattr(repeat_aug, 'get_dist_info', lambda: (rank, 8))
    sampler = repeat_aug.RepeatAugSampler(range(1_281_167), num_repeats=3, seed=0)
    assert len(sampler) == -(-1_281_167 // 8) == 160_146
    assert len(sampler) // 128 == 1251 == 160_128 // 128


def test_the_three_repeats_of_an_image_go_to_three_gpus(monkeypatch):
    drawn = []
    for rank in range(4):
        monkeypatch.setattr(repeat_aug, 'get_dist_info', lambda rank=rank: (rank, 4))
        drawn.append(list(repeat_aug.RepeatAugSampler(range(40), seed=0)))
    flat = [index for part in drawn for index in part]
    assert len(flat) == 40
    seen = {index: [index in part for part in drawn] for index in flat}
    full = [index for index in seen if flat.count(index) == 3]
    assert len(full) >= 12  # a third of the images, but for the ends
    assert all(sum(seen[index]) == 3 for index in full)


@pytest.mark.parametrize(
    ('height', 'width', 'resized'),
    [(375, 500, (256, 341)), (500, 375, (341, 256)), (224, 224, (256, 256))],
)
def test_test_images_are_256_on_the_short_side_then_224(height, width, resized):
    image = np.zeros((height, width, 3), np.uint8)
    resize = TRANSFORMS.build(
        {
            'type': 'ResizeEdge',
            'scale': int(256 / 224 * 224),
            'edge': 'short',
            'backend': 'pillow',
            'interpolation': 'bicubic',
        }
    )
    results = resize({'img': image})
    assert results['img'].shape[:2] == resized
    crop = TRANSFORMS.build({'type': 'CenterCrop', 'crop_size': 224})
    assert crop(results)['img'].shape == (224, 224, 3)
