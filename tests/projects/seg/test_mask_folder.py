"""Where images, masks and classes are looked for."""

import cv2
import numpy as np
import pytest

from projects.common.errors import UserError
from projects.seg.datasets import ImagesWithMasks
from projects.seg.mask_folder import find_masks


def fill(root, *folders, classes='one\ntwo\n'):
    for folder in folders:
        (root / folder).mkdir(parents=True)
        cv2.imwrite(str(root / folder / 'a.png'), np.zeros((4, 4), np.uint8))
    if classes:
        (root / 'classes.txt').write_text(classes)


@pytest.mark.parametrize(
    'folders',
    [
        (
            *('images/training', 'annotations/training'),
            *('images/validation', 'annotations/validation'),
        ),
        ('images/train', 'masks/train', 'images/val', 'masks/val'),
        ('train/images', 'train/labels', 'val/images', 'val/labels'),
    ],
)
def test_usual_layouts_are_found(tmp_path, folders):
    fill(tmp_path, *folders)
    found = find_masks(tmp_path)
    parts = (found.train, found.val)
    assert [
        path.relative_to(tmp_path).as_posix()
        for part in parts
        for path in (part.images, part.masks)
    ] == list(folders)
    assert found.classes.names == ('one', 'two')


def test_a_folder_without_splits_is_its_own_validation(tmp_path):
    fill(tmp_path, 'images', 'masks')
    found = find_masks(tmp_path)
    assert found.train == found.val
    assert found.train.images.samefile(tmp_path / 'images')


def test_ade20k_itself_needs_no_class_list(tmp_path):
    fill(
        tmp_path,
        *('images/training', 'annotations/training'),
        *('images/validation', 'annotations/validation'),
        classes=None,
    )
    with pytest.raises(UserError, match=r'classes\.txt: no such class list'):
        find_masks(tmp_path)
    (tmp_path / 'objectInfo150.txt').write_text('Idx\n')
    assert find_masks(tmp_path).classes is None


def test_what_is_missing_is_named_with_the_layout(tmp_path):
    with pytest.raises(UserError, match='no such folder'):
        find_masks(tmp_path / 'no')
    fill(tmp_path, 'images/train', 'masks/train')
    with pytest.raises(UserError, match='no validation images with masks') as caught:
        find_masks(tmp_path)
    assert f'{tmp_path}/images/validation/*.jpg' in str(caught.value)


def test_images_of_any_format_find_their_masks_at_the_same_place(tmp_path):
    images, masks = tmp_path / 'images', tmp_path / 'masks'
    (images / 'deep').mkdir(parents=True)
    (masks / 'deep').mkdir(parents=True)
    for name in ('b.JPG', 'a.png', 'deep/c.webp', 'notes.txt'):
        (images / name).touch()
    for name in ('b.png', 'a.tif', 'deep/other.png'):
        (masks / name).touch()
    dataset = ImagesWithMasks(
        data_prefix={'img_path': str(images), 'seg_map_path': str(masks)},
        metainfo={'classes': ('one', 'two')},
    )
    found = {
        item['img_path'].removeprefix(f'{images}/'): item['seg_map_path']
        for item in (dataset.get_data_info(i) for i in range(len(dataset)))
    }
    assert found == {
        'a.png': f'{masks}/a.tif',
        'b.JPG': f'{masks}/b.png',
        'deep/c.webp': f'{masks}/deep/c.png',  # which check_data will miss
    }
