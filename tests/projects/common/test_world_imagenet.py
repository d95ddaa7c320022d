"""Generated pictures of one object, in ImageNet's folders."""

import cv2
import numpy as np
import pytest

from projects.common.world.cache import WRITERS
from projects.common.world.imagenet import IMAGE_CLASSES, draw_object, write_imagenet
from projects.common.world.thing import CLASSES


def test_every_class_has_its_share_of_both_splits(tmp_path):
    assert WRITERS['imagenet'] is write_imagenet
    assert len(IMAGE_CLASSES) == 2 * len(CLASSES) >= 6
    write_imagenet(tmp_path, num_train=17, num_val=8, size=64)
    for split, counts in (('train', [3, *[2] * 7]), ('val', [1] * 8)):
        for name, count in zip(IMAGE_CLASSES, counts, strict=True):
            files = list((tmp_path / split / name).iterdir())
            assert len(files) == count
            assert cv2.imread(str(files[0])).shape == (64, 64, 3)


@pytest.mark.parametrize('index', range(8))
def test_a_picture_shows_one_object_of_its_class(index):
    picture = draw_object(0, 'train', index, 96)
    [thing] = picture.things
    look, shape = IMAGE_CLASSES[index].split('_')
    assert thing.category == shape
    assert (thing.fill == 'stripes') == (look == 'striped')
    assert (picture.labels == 1).mean() > 0.04


def test_pictures_depend_on_seed_split_and_index_alone():
    first = draw_object(0, 'train', 3).image
    assert np.array_equal(first, draw_object(0, 'train', 3).image)
    for other in ((1, 'train', 3), (0, 'val', 3), (0, 'train', 11)):
        image = draw_object(*other).image
        assert image.shape != first.shape or not np.array_equal(image, first)


def test_every_class_needs_a_picture(tmp_path):
    with pytest.raises(ValueError, match='>= 8, got 7 and 8'):
        write_imagenet(tmp_path, num_train=7, num_val=8)
