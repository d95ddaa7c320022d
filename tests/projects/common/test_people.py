"""The demo people: jointed as people are, labelled as COCO labels them."""

import json
from collections import Counter

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from projects.common.world.figure import HIDDEN, KEYPOINTS, UNLABELLED, VISIBLE, Figure
from projects.common.world.people import (
    MIN_KEYPOINTS,
    SKELETON,
    describe_people,
    draw_people,
    label_keypoints,
    write_people,
)
from projects.common.world.posture import (
    ARM,
    FOREARM,
    SHIN,
    THIGH,
    project,
    sample_figure,
    sample_posture,
)
from projects.common.world.scene import draw_scene

# COCO 2017, category 1 of person_keypoints_val2017.json.
COCO_KEYPOINTS = [
    *('nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder'),
    *('right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist'),
    *('left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle'),
]
LEFT, RIGHT = KEYPOINTS.index('left_shoulder'), KEYPOINTS.index('right_shoulder')
EYES = KEYPOINTS.index('left_eye'), KEYPOINTS.index('right_eye')


@pytest.fixture(scope='module')
def pictures():
    return [draw_people(0, 'train', index) for index in range(24)]


@pytest.fixture(scope='module')
def people(pictures):
    return [person for i, p in enumerate(pictures) for person in describe_people(p, i)]


def points(person):
    return np.array(person['keypoints']).reshape(-1, 3)


def test_a_picture_depends_on_seed_split_and_index_alone():
    picture, again = draw_people(0, 'train', 3, 96), draw_people(0, 'train', 3, 96)
    assert (picture.image == again.image).all()
    for other in ((1, 'train', 3), (0, 'val', 3), (0, 'train', 4)):
        assert (draw_people(*other, 96).image != picture.image).any()
    assert (draw_scene(0, 'train', 3, 96).image != picture.image).any()
    with pytest.raises(ValueError, match='size'):
        draw_people(0, 'train', 0, 8)


def test_layout_is_that_of_coco_2017(tmp_path):
    write_people(tmp_path, num_train=2, num_val=1, size=96)
    for split, count in (('train', 2), ('val', 1)):
        file = tmp_path / f'annotations/person_keypoints_{split}2017.json'
        data = COCO(str(file))
        [person] = data.loadCats(data.getCatIds())
        assert (person['id'], person['name']) == (1, 'person')
        assert person['keypoints'] == COCO_KEYPOINTS
        assert len(person['skeleton']) == 19
        assert len(data.imgs) == count
        for image in data.imgs.values():
            picture = cv2.imread(str(tmp_path / f'{split}2017' / image['file_name']))
            assert picture.shape == (image['height'], image['width'], 3)
        for thing in data.anns.values():
            assert thing['num_keypoints'] == (points(thing)[:, 2] > 0).sum()
            rows, columns = np.nonzero(data.annToMask(thing))
            x, y, width, height = thing['bbox']
            assert (x, x + width) == (columns.min(), columns.max() + 1)
            assert (y, y + height) == (rows.min(), rows.max() + 1)
        assert json.loads(file.read_text()).keys() >= {'info', 'licenses'}
    with pytest.raises(ValueError, match='counts'):
        write_people(tmp_path, num_val=0)


def test_lines_of_the_skeleton_join_neighbours():
    names = [(KEYPOINTS[a - 1], KEYPOINTS[b - 1]) for a, b in SKELETON]
    for link in (('left_ankle', 'left_knee'), ('nose', 'right_eye')):
        assert link in names or link[::-1] in names
    assert {end for link in names for end in link} == set(KEYPOINTS)


def test_all_flags_and_parts_of_people_occur(people):
    flags = np.stack([points(person)[:, 2] for person in people])
    shares = Counter(flags.ravel().astype(int))
    assert set(shares) == {UNLABELLED, HIDDEN, VISIBLE}
    assert shares[VISIBLE] / flags.size > 0.6
    assert shares[HIDDEN] / flags.size > 0.03
    assert ((flags == VISIBLE).sum(1) >= MIN_KEYPOINTS).all()
    # Every joint is seen in some picture, and is hidden or missing in another.
    assert (flags == VISIBLE).any(0).all()
    assert (flags != VISIBLE).any(0).all()


def test_unlabelled_points_are_zeros_and_labelled_ones_inside(pictures):
    for number, picture in enumerate(pictures):
        height, width = picture.labels.shape
        for person in describe_people(picture, number):
            x, y, v = points(person).T
            assert (x[v == 0] == 0).all()
            assert (y[v == 0] == 0).all()
            assert ((x >= 0) & (x < width) & (y >= 0) & (y < height)).all()


def test_visible_joints_lie_on_the_person(pictures):
    """Within two pixels of its mask: eyes and ears may stick out of it."""
    kernel = np.ones((5, 5), np.uint8)
    for picture in pictures:
        for number, figure in enumerate(picture.things, 1):
            if isinstance(figure, Figure):
                mask = cv2.dilate((picture.labels == number).astype(np.uint8), kernel)
                x, y, v = label_keypoints(figure, picture.labels, number).T
                seen = v == VISIBLE
                assert mask[y[seen].astype(int), x[seen].astype(int)].all()


def test_something_in_front_hides_and_something_behind_does_not():
    figure = sample_figure(np.random.default_rng(0), 60).moved(40, 10)
    labels = np.full((80, 80), 2, np.uint8)
    assert (label_keypoints(figure, labels, 3)[:, 2] == VISIBLE).any()
    assert not (label_keypoints(figure, labels, 1)[:, 2] == VISIBLE).any()
    away = figure.moved(500, 0)
    assert not label_keypoints(away, labels, 3).any()


def test_left_and_right_follow_the_side_one_sees():
    """Facing us, a person's left is at our right; eyes show in front alone."""
    front = back = 0
    for seed in range(200):
        figure = sample_figure(np.random.default_rng(seed), 100)
        both = figure.shown[list(EYES)]
        left, right = figure.points[LEFT, 0], figure.points[RIGHT, 0]
        if abs(left - right) < 8:
            continue  # in profile, where the head may look either way
        if both.all():
            front += 1
            assert left > right
        elif not both.any() and not figure.shown[0]:
            back += 1
            assert left < right
    assert front > 80
    assert back > 10


def test_projection_turns_to_the_right_and_keeps_lengths():
    forward, left = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.0])
    quarter = np.pi / 2
    # Towards us is depth; turned to our right, forward is to the right and the left
    # side is away from us.
    assert project(forward, 0, 0)[[0, 2]] == pytest.approx([0, 1])
    assert project(forward, quarter, 0)[[0, 2]] == pytest.approx([1, 0])
    assert project(left, quarter, 0)[[0, 2]] == pytest.approx([0, -1])
    one, other = (project(point, 0.7, 0.3) for point in (forward, left))
    assert np.linalg.norm(one - other) == pytest.approx(2**0.5)


def test_limbs_have_the_lengths_of_a_body():
    for seed in range(10):
        body = sample_posture(np.random.default_rng(seed))
        for start, end, length in (
            ('shoulder', 'elbow', ARM),
            ('elbow', 'wrist', FOREARM),
            ('hip', 'knee', THIGH),
            ('knee', 'ankle', SHIN),
        ):
            for side in ('left', 'right'):
                limb = body[f'{side}_{end}'] - body[f'{side}_{start}']
                assert np.linalg.norm(limb) == pytest.approx(length, rel=0.071)


def test_outline_and_colours_are_consistent():
    figure = sample_figure(np.random.default_rng(1), 80)
    low, high = figure.extent()
    figure = figure.moved(5 - low[0], 5 - low[1])
    height, width = (np.ceil(high - low).astype(int) + 10)[::-1]
    layer = figure.layer(height, width)
    assert layer.alpha == pytest.approx(figure.coverage(height, width), abs=1e-5)
    assert layer.alpha.sum() == pytest.approx(figure.area(), rel=0.01)
    assert 0 <= layer.color.min() <= layer.color.max() <= 1
    assert not layer.alpha[:4].any()
    cut = figure.layer(height // 2, width)
    assert cut.alpha == pytest.approx(layer.alpha[: height // 2])
