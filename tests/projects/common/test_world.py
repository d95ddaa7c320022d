"""The demo world: reproducible pictures, exact labels, COCO's layout, a safe cache."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_api
from pycocotools.coco import COCO

from projects.common.world import (
    CLASSES,
    Thing,
    coco,
    draw_scene,
    render,
    sample_scene,
    write_coco,
)
from projects.common.world.scene import (
    MIN_AREA,
    MIN_VISIBLE,
    composite,
    label_pixels,
    mask_box,
    picture_rng,
)
from projects.common.world.texture import FILLS

TINY = {'num_train': 4, 'num_val': 2, 'size': 80}


@pytest.fixture(scope='module')
def pictures():
    return [draw_scene(seed=0, split='train', index=index) for index in range(60)]


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp('world'), num_train=40, num_val=12)


def load(world, split):
    return COCO(str(world / 'annotations' / f'instances_{split}2017.json'))


def read_files(folder):
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# Pictures ---------------------------------------------------------------------------


def test_same_seed_gives_same_bytes_and_another_seed_does_not(tmp_path):
    first = read_files(write_coco(tmp_path / 'a', seed=3, **TINY))
    again = read_files(write_coco(tmp_path / 'b', seed=3, **TINY))
    other = read_files(write_coco(tmp_path / 'c', seed=4, **TINY))
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_image_does_not_depend_on_the_number_of_images(tmp_path):
    few = write_coco(tmp_path / 'few', num_train=2, num_val=1, size=80)
    many = write_coco(tmp_path / 'many', num_train=5, num_val=3, size=80)
    images = {k: v for k, v in read_files(few).items() if k.endswith('.jpg')}
    assert len(images) == 3
    assert images.items() <= read_files(many).items()
    for split in ('train', 'val'):
        kept = load(few, split).anns
        assert kept.items() <= load(many, split).anns.items()


def test_train_and_val_show_different_scenes():
    scenes = {
        (split, index): draw_scene(0, split, index, size=64).things
        for split in ('train', 'val', 'test')
        for index in range(20)
    }
    assert len(set(scenes.values())) == len(scenes)


def test_images_have_the_sides_asked_for(pictures):
    sides = np.array([picture.image.shape[:2] for picture in pictures])
    assert sides.min() >= 144
    assert sides.max() <= 192
    assert (sides[:, 0] != sides[:, 1]).any()
    assert draw_scene(0, 'val', 0, size=96).image.shape == (96, 96, 3)


def test_every_thing_is_visible_enough_to_be_labelled(pictures):
    for picture in pictures:
        assert 1 <= len(picture.things) <= 4
        for thing, mask in zip(picture.things, picture.masks(), strict=True):
            assert mask.sum() >= max(MIN_AREA, MIN_VISIBLE * thing.area())


def test_all_classes_sizes_and_occlusions_occur(pictures):
    things = [thing for picture in pictures for thing in picture.things]
    masks = [mask for picture in pictures for mask in picture.masks()]
    assert {thing.category for thing in things} == set(CLASSES)
    assert {thing.fill for thing in things} == set(FILLS)
    areas = np.array([mask.sum() for mask in masks])
    assert np.mean(areas < 32**2) > 0.2  # COCO's small
    assert np.mean(areas > 32**2) > 0.2  # and medium
    hidden = 0
    for picture in pictures:
        size = picture.labels.shape
        for thing, mask in zip(picture.things, picture.masks(), strict=True):
            hidden += mask.sum() < 0.9 * (thing.coverage(*size) > 0.5).sum()
    assert hidden / len(things) > 0.1


def test_box_on_the_pixel_grid_covers_its_rectangle():
    # Half a diagonal of 10 * sqrt(2) makes a square of 20 around (20, 20), with round
    # corners. OpenCV fills the outline as well: up to 1/4 pixel at 4 samples a side.
    thing = Thing('box', (20.0, 20.0), 10 * 2**0.5)
    alpha = thing.coverage(40, 40)
    assert alpha[15:25, 10:30].min() == alpha[10:30, 15:25].min() == 1
    outside = np.ones((40, 40), bool)
    outside[10:30, 10:30] = False
    assert alpha[outside].max() <= 0.26
    assert alpha.sum() == pytest.approx(thing.area(), rel=0.03)


def test_label_is_what_shows_most_in_the_pixel():
    back, front = np.full((1, 3), 0.9), np.array([[0.0, 0.4, 0.6]])
    # The middle pixel shows the front by 0.4 and the back by 0.9 * 0.6 = 0.54.
    assert label_pixels([back, front]).tolist() == [[1, 1, 2]]


def test_labels_mark_exactly_the_pixels_a_thing_changes(pictures):
    for picture in pictures[:10]:
        layers = [thing.layer(*picture.labels.shape) for thing in picture.things]
        white = [
            replace(layer, color=np.full_like(layer.color, i), shadow=0 * layer.shadow)
            for i, layer in enumerate(layers, 1)
        ]
        flat = composite(np.zeros_like(picture.image, np.float32), white)
        pure = np.isclose(flat[..., 0], np.round(flat[..., 0]), atol=1e-6)
        opaque = np.max([layer.alpha for layer in layers], axis=0)
        pure &= (opaque == 0) | (opaque == 1)
        whole = pure & ~_mixed(layers)
        assert whole.mean() > 0.8
        assert np.array_equal(flat[..., 0][whole].round(), picture.labels[whole])


def _mixed(layers):
    parts = np.stack([layer.alpha for layer in layers])
    return ((parts > 0) & (parts < 1)).any(0)


def test_a_thing_moved_by_whole_pixels_moves_its_picture():
    scene = sample_scene(picture_rng(0, 'test', 0), 96, 96, max_things=1)
    thing = replace(scene.things[0], center=(40.0, 40.0), radius=20.0)
    plain = replace(scene, background=np.full((96, 96, 3), 0.5, np.float32))
    here = render(replace(plain, things=(thing,)))
    there = render(replace(plain, things=(replace(thing, center=(47.0, 45.0)),)))
    assert np.array_equal(here.labels[:80, :80], there.labels[5:85, 7:87])
    drift = cv2.absdiff(here.image[:80, :80], there.image[5:85, 7:87])
    assert drift.max() <= 2  # rounding


# The layout --------------------------------------------------------------------------


def test_pycocotools_reads_the_layout_of_coco_2017(world):
    for split, count in (('train', 40), ('val', 12)):
        data = load(world, split)
        names = [category['name'] for category in data.loadCats(data.getCatIds())]
        assert names == list(CLASSES)
        assert len(data.imgs) == count
        assert set(data.dataset) >= {'info', 'licenses', 'images', 'annotations'}
        for image in data.imgs.values():
            pixels = cv2.imread(str(world / f'{split}2017' / image['file_name']))
            assert pixels.shape == (image['height'], image['width'], 3)
            assert data.getAnnIds(imgIds=image['id'])
    assert not load(world, 'train').imgs.keys() & load(world, 'val').imgs.keys()


def test_segmentations_decode_to_the_masks_that_were_drawn(world):
    data = load(world, 'train')
    kinds = set()
    for index, image_id in enumerate(sorted(data.imgs)):
        picture = draw_scene(seed=0, split='train', index=index)
        annotations = data.loadAnns(data.getAnnIds(imgIds=image_id))
        masks = picture.masks()
        for thing, annotation, mask in zip(
            picture.things, annotations, masks, strict=True
        ):
            decoded = data.annToMask(annotation).astype(bool)
            overlap = (decoded & mask).sum() / (decoded | mask).sum()
            polygon = isinstance(annotation['segmentation'], list)
            assert overlap > 0.97 if polygon else overlap == 1
            assert annotation['area'] == mask.sum()
            assert annotation['iscrowd'] == 0
            assert CLASSES[annotation['category_id'] - 1] == thing.category
            kinds.add(polygon)
    assert kinds == {True, False}


def test_boxes_are_the_extents_of_the_masks(world):
    data = load(world, 'val')
    for annotation in data.anns.values():
        rows, columns = np.nonzero(data.annToMask(annotation))
        x, y, width, height = annotation['bbox']
        assert (x, x + width) == (columns.min(), columns.max() + 1)
        assert (y, y + height) == (rows.min(), rows.max() + 1)


@pytest.mark.parametrize(
    ('rows', 'polygon'),
    [
        (['....', '.##.', '.##.'], True),
        (['.#..', '.##.', '..#.'], True),
        (['####', '...#', '####'], True),
        (['####', '#..#', '####'], False),  # a hole
        (['##..', '....', '..##'], False),  # two parts
        (['##..', '##..', '..##'], False),  # parts that touch in a corner alone
    ],
)
def test_masks_of_one_simple_part_become_polygons(rows, polygon):
    mask = np.array([[cell == '#' for cell in row] for row in rows])
    segmentation = coco.encode_mask(mask)
    assert isinstance(segmentation, list) == polygon
    runs = segmentation
    if polygon:
        runs = mask_api.frPyObjects(segmentation, *mask.shape)[0]
    assert np.array_equal(mask_api.decode(runs).astype(bool), mask)


def test_mask_box_is_end_exclusive():
    assert mask_box(np.eye(3, 5, k=1) > 0) == (1, 0, 4, 3)
