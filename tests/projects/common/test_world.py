"""The demo world: reproducible pictures, exact labels, COCO's layout, a safe cache."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as mask_api
from pycocotools.coco import COCO

from projects.common.world import (
    CLASSES,
    DemoWorldError,
    Thing,
    cache,
    coco,
    demo_world,
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
from projects.common.world.texture import FILLS, draw_fill
from projects.common.world.thing import unit_outline

ROOT = Path(__file__).parents[3]
TINY = {'num_train': 4, 'num_val': 2, 'size': 80}


@pytest.fixture(scope='module')
def pictures():
    return [draw_scene(seed=0, split='train', index=index) for index in range(60)]


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp('world'), num_train=40, num_val=12)


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / 'home'
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(folder))
    return folder


def load(world, split):
    return COCO(str(world / 'annotations' / f'instances_{split}2017.json'))


def read_files(folder):
    files = sorted(path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def run_python(code, **env):
    return subprocess.Popen(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT), **env},
        stderr=subprocess.PIPE,
    )


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


# The cache ---------------------------------------------------------------------------


def test_world_is_written_once_and_named_by_its_parameters(home):
    first = demo_world('coco', **TINY)
    stamp = (first / 'world.json').stat().st_mtime_ns
    assert demo_world('coco', **TINY) == first
    assert (first / 'world.json').stat().st_mtime_ns == stamp
    assert demo_world('coco', seed=0, **TINY) == first  # the default, said aloud
    assert demo_world('coco', seed=1, **TINY) != first
    assert {path.parent for path in home.iterdir()} == {home}
    assert len(list(home.iterdir())) == 2
    content = json.loads((first / 'world.json').read_text())
    assert content['params'] == {**TINY, 'seed': 0}


def test_generator_version_is_part_of_the_name(home, monkeypatch):
    before = cache.world_path('coco')
    monkeypatch.setattr(cache, 'WORLD_VERSION', 999)
    assert cache.world_path('coco') != before


def test_home_follows_the_environment(tmp_path, monkeypatch):
    tail = Path('uniformer_backbones', 'demo')
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'own'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    monkeypatch.setenv('HOME', str(tmp_path / 'user'))
    assert cache.cache_home() == tmp_path / 'own'
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', '')
    assert cache.cache_home() == tmp_path / 'xdg' / tail
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    assert cache.cache_home() == tmp_path / 'user' / '.cache' / tail


def test_killed_generation_leaves_nothing_that_looks_complete(home):
    code = (
        'import os, signal\n'
        'from projects.common.world import coco, demo_world\n'
        'write, left = coco.write_jpeg, [2]\n'
        'def crash(*args):\n'
        '    left[0] -= 1\n'
        '    write(*args) if left[0] else os.kill(os.getpid(), signal.SIGKILL)\n'
        'coco.write_jpeg = crash\n'
        f'demo_world("coco", **{TINY})\n'
    )
    process = run_python(code)
    process.communicate(timeout=60)
    assert process.returncode == -9
    drafts = list(home.iterdir())
    assert [draft.name[0] for draft in drafts] == ['.']
    os.utime(drafts[0], times=(time.time() - 2 * cache.STALE_SECONDS,) * 2)
    final = demo_world('coco', **TINY)
    assert len(load(final, 'train').imgs) == 4
    assert list(home.iterdir()) == [final]  # the stale draft is gone as well


def test_two_processes_may_generate_the_same_world_at_once(home):
    code = f'from projects.common.world import demo_world; demo_world("coco", **{TINY})'
    processes = [run_python(code) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [b'', b'']
    assert [process.returncode for process in processes] == [0, 0]
    assert list(home.iterdir()) == [cache.world_path('coco', **TINY)]


def test_second_to_finish_takes_the_world_of_the_first(home, monkeypatch):
    def be_late(root, *args, **kwargs):
        write_coco(root, **TINY)
        if root.name.startswith('.'):
            final = cache.world_path('coco', **TINY)
            write_coco(final, **TINY)
            (final / 'world.json').write_text('first')
        return root

    monkeypatch.setattr(cache, 'world_params', lambda kind, params: dict(params))
    monkeypatch.setattr(cache, 'WRITERS', {'coco': be_late})
    final = demo_world('coco', **TINY)
    assert (final / 'world.json').read_text() == 'first'
    assert list(home.iterdir()) == [final]


def test_full_disk_is_one_line_and_leaves_nothing(home, monkeypatch):
    def fail(path, image):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(coco, 'write_jpeg', fail)
    with pytest.raises(DemoWorldError, match='No space left on device') as info:
        demo_world('coco', **TINY)
    assert '\n' not in str(info.value)
    assert 'UNIFORMER_DEMO_HOME' in str(info.value)
    assert list(home.iterdir()) == []


def test_unwritable_home_is_one_line(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'file' / 'home'))
    with pytest.raises(DemoWorldError, match='cannot write demo data') as info:
        demo_world('coco', **TINY)
    assert '\n' not in str(info.value)


def test_further_kinds_are_one_entry(home, monkeypatch):
    def write_note(root, text='hello', *, track=None):
        root.mkdir()
        (root / 'note.txt').write_text(text)
        return root

    monkeypatch.setattr(cache, 'WRITERS', {**cache.WRITERS, 'note': write_note})
    assert (demo_world('note', text='hi') / 'note.txt').read_text() == 'hi'
    assert demo_world('note').name.startswith('note-')


# Bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: demo_world('imagenet'), "unknown demo data 'imagenet'"),
        (lambda: demo_world('coco', images=3), r"unknown parameters \['images'\]"),
        (lambda: demo_world('coco', num_train=0), 'counts must be >= 1'),
        (lambda: demo_world('coco', size=8), 'size must be .* >= 64'),
        (lambda: demo_world('coco', size=(192, 144)), 'size must be'),
        (lambda: draw_scene(0, 'dev', 0), "unknown split 'dev'"),
        (lambda: draw_scene(-1, 'train', 0), 'seed and index must be >= 0'),
        (lambda: Thing('cube', (0, 0), 1), "unknown category 'cube'"),
        (lambda: Thing('box', (0, 0), 0), 'radius must be positive'),
        (lambda: unit_outline('cube'), "unknown category 'cube'"),
        (lambda: draw_fill('fur', *np.zeros((2, 1, 1)), 1, 0), "unknown fill 'fur'"),
    ],
)
def test_bad_input_names_what_was_given(home, call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not home.exists() or list(home.iterdir()) == []


def test_mask_box_is_end_exclusive():
    assert mask_box(np.eye(3, 5, k=1) > 0) == (1, 0, 4, 3)
