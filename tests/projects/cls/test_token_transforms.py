"""An image and its label map stay together through flip, augmentation and crop."""

import random

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.registry import init_default_scope

from projects.cls import token_transforms
from projects.cls.token_transforms import TokenCrop, TokenFlip
from projects.common.randaugment import Step

CLASSES = 20
BLACK = (0, 0, 0)


def positions(height=90, width=120, cells=60):
    """An image whose red and green are its columns and rows, and a map of the same.

    The logits of classes 3 and 4 are the column and the row, from 0 to 1; blue and
    class 5 are full everywhere, so that they tell what came from outside.
    """
    x = (np.arange(width) + 0.5) / width
    y = (np.arange(height) + 0.5) / height
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2], image[..., 1] = np.round(255 * x), np.round(255 * y[:, None])
    image[..., 0] = 255
    centres = (np.arange(cells) + 0.5) / cells
    label_map = np.zeros((2, 5, cells, cells), np.float32)
    label_map[0, 0], label_map[0, 1] = centres, centres[:, None]
    label_map[0, 2] = 1
    label_map[1] = np.arange(3, 8)[:, None, None]
    return {'img': image, 'label_map': label_map, 'label_classes': CLASSES}


def seen(results):
    """Column, row and fullness that tokens see: in the image and in the labels."""
    labels = results['gt_token_score']
    grid = len(labels)
    image = torch.from_numpy(results['img'].copy()).float()
    side = image.shape[0] // grid
    tokens = image.reshape(grid, side, grid, side, 3).mean((1, 3)) / 255
    logits = (labels / labels[..., :1]).log()
    return tokens.flip(-1).numpy(), logits[..., 3:6].numpy()


@pytest.fixture(autouse=True)
def seed():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - mmpretrain's transforms draw from it


@pytest.mark.parametrize('flipped', [False, True])
@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic', 'random'])
def test_labels_lie_on_the_image_after_flip_and_crop(flipped, interpolation):
    for _ in range(8):
        results = positions()
        if flipped:
            results = TokenFlip(prob=1.0)(results)
            assert results['img'][0, 0, 2] > 250
        results = TokenCrop(224, interpolation=interpolation)(results)
        assert results['img'].shape == (224, 224, 3)
        image, labels = seen(results)
        assert np.abs(image - labels).max() < 0.02


@pytest.mark.parametrize(
    'step',
    [
        Step('Rotate', (25.0,), BLACK),
        Step('ShearX', (0.3,), BLACK),
        Step('ShearY', (-0.25,), BLACK),
        Step('TranslateXRel', (0.2,), BLACK),
        Step('TranslateYRel', (-0.3,), BLACK),
    ],
    ids=lambda step: step.name,
)
def test_labels_lie_on_the_image_after_geometric_augmentation(step, monkeypatch):
    from projects.cls.augment import TimmImageAugment

    augment = TimmImageAugment()
    monkeypatch.setattr(augment.policy, 'draw', lambda: (step,))
    # A square, so that a rotation of the map is that of the image.
    results = augment(positions(120, 120))
    crop = TokenCrop(224, crop_ratio_range=(0.999, 1.0), interpolation='bilinear')
    image, labels = seen(crop(results))
    # Tokens on the border of what came from outside mix both: leave them out.
    full = (image[..., 2] > 0.999) & (labels[..., 2] > 0.999)
    empty = (image[..., 2] < 0.001) & (labels[..., 2] < 0.001)
    assert full.sum() > 20
    assert np.abs(image - labels)[full | empty].max() < 0.03
    assert np.abs(image - labels)[..., 2].max() < 0.2


def test_colours_leave_the_map_alone(monkeypatch):
    from projects.cls.augment import TimmImageAugment

    augment = TimmImageAugment()
    monkeypatch.setattr(augment.policy, 'draw', lambda: (Step('Invert'),))
    before = positions()
    after = augment(positions())
    assert (after['label_map'] == before['label_map']).all()
    assert (after['img'] != before['img']).any()


def test_grid_is_a_32nd_of_the_crop_and_the_image_has_one_label():
    results = TokenCrop(384)(positions())
    assert results['gt_token_score'].shape == (12, 12, CLASSES)
    assert results['gt_score'].shape == (CLASSES,)
    assert results['gt_score'].sum() == pytest.approx(1, abs=1e-5)
    assert not {'label_map', 'label_classes'} & set(results)
    assert TokenCrop(32)(positions())['gt_token_score'].shape == (1, 1, CLASSES)
    assert TokenCrop(64, grid=4)(positions())['gt_token_score'].shape[:2] == (4, 4)


def test_crops_follow_the_official_ranges(monkeypatch):
    crop = TokenCrop(224, crop_ratio_range=(0.08, 1.0))
    shapes = []
    draw = crop.rand_crop_params
    monkeypatch.setattr(
        crop, 'rand_crop_params', lambda image: shapes.append(draw(image)) or shapes[-1]
    )
    for _ in range(200):
        crop(positions(100, 100, cells=4))
    areas = np.array([h * w / 1e4 for _, _, h, w in shapes])
    ratios = np.array([w / h for _, _, h, w in shapes])
    assert areas.min() > 0.07
    assert areas.max() <= 1
    assert 0.3 < areas.mean() < 0.65  # uniform in area, some drawn again
    assert ratios.min() > 0.72
    assert ratios.max() < 1.38


def test_released_view_is_the_transposed_box():
    # (top, left, height, width) of a crop at (0.1, 0.4) of size 0.6 x 0.5 goes to
    # RoIAlign as x from 0.1 to 0.6 and y from 0.4 to 0.5.
    crop = TokenCrop(224, released_view=True)
    assert crop._view((100, 100), 10, 40, 60, 50) == (0.1, 0.4, 0.6, 0.5)
    right = TokenCrop(224)._view((100, 100), 10, 40, 60, 50)
    assert right == pytest.approx((0.4, 0.1, 0.9, 0.7))


def test_both_interpolations_are_used(monkeypatch):
    used = set()
    from mmcv.image import imresize

    def note(*args, interpolation, **kwargs):
        used.add(interpolation)
        return imresize(*args, interpolation=interpolation, **kwargs)

    monkeypatch.setattr(token_transforms.mmcv, 'imresize', note)
    for _ in range(20):
        TokenCrop(32)(positions(cells=4))
    assert used == {'bilinear', 'bicubic'}


def test_grid_must_be_positive():
    with pytest.raises(ValueError, match='grid must be at least 1'):
        TokenCrop(224, grid=0)
    with pytest.raises(ValueError, match='grid must be at least 1'):
        TokenCrop(16)


def test_pipeline_of_the_config_reads_maps_beside_images(tmp_path):
    import cv2
    from mmengine.config import Config

    from projects.cls.label_map import write_label_map

    init_default_scope('mmpretrain')
    cfg = Config.fromfile('configs/_base_/datasets/imagenet_tl.py')
    pipeline = cfg.train_dataloader.dataset.pipeline
    pipeline[1].update(root=str(tmp_path / 'maps'), num_classes=CLASSES)
    assert pipeline[1].type == 'LoadLabelMap'
    image = tmp_path / 'train/n01/n01_7.JPEG'
    image.parent.mkdir(parents=True)
    cv2.imwrite(str(image.with_suffix('.jpg')), positions()['img'])
    image.with_suffix('.jpg').rename(image)
    write_label_map(tmp_path / 'maps/n01/n01_7.pt', torch.rand(CLASSES, 18, 18))
    packed = Compose(pipeline)({'img_path': str(image), 'gt_label': 2})
    assert packed['inputs'].shape == (3, 224, 224)
    sample = packed['data_samples']
    assert sample.gt_token_score.shape == (7, 7, CLASSES)
    assert sample.gt_score.shape == (CLASSES,)
    assert sample.gt_label.tolist() == [2]
