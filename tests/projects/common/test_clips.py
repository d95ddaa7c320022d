"""The world in motion: what a frame cannot tell, and the next one can."""

import cv2
import numpy as np
import pytest

from projects.common.world import clips, scene
from projects.common.world.clips import (
    CLIP_CLASSES,
    MOTIONS,
    Clip,
    Course,
    sample_clip,
    sample_course,
)


@pytest.fixture(scope='module')
def courses():
    """Many courses of each class; they need no drawing."""
    return {
        label: [
            sample_course(scene.picture_rng(0, 'train', 8 * index + label), label)
            for index in range(150)
        ]
        for label in range(8)
    }


def one_shot(name, run):
    """A course whose shot fills the clip, in the middle of every range."""
    which, way = MOTIONS[name]
    runs = np.zeros(4)
    runs[which] = way * run / clips.SHOT  # the run of a clip, so `run` in this shot
    return Course(np.array([[0.25, 0.25, 0.5, 0.0]]), runs, 0.0)


def place_in_frame(course, time, point):
    """Where a point of the scene is seen at a time, in a frame of 96 x 128."""
    matrix = np.vstack([course.matrix(time, 96, 128), [0, 0, 1]])
    return (np.linalg.inv(matrix) @ [*point, 1])[:2]


def test_names_mean_what_is_seen():
    middle = course = None
    for name in CLIP_CLASSES:
        course = one_shot(name, 0.2)
        middle = course.matrix(0, 96, 128) @ [64, 48, 1]  # the scene in mid-frame
        east = middle + np.array([10, 0])
        end = clips.SHOT * 0.999
        before, after = (
            np.array([place_in_frame(course, time, p) for p in (middle, east)])
            for time in (0, end)
        )
        shift = after[0] - before[0]
        arms = (before[1] - before[0], after[1] - after[0])
        growth = np.linalg.norm(arms[1]) / np.linalg.norm(arms[0])
        turn = np.degrees(np.arctan2(arms[1][1], arms[1][0]))  # clockwise, as y is down
        expected = {
            'moving left': (-19.2, 0, 1, 0),  # 0.2 of 96 pixels
            'moving right': (19.2, 0, 1, 0),
            'moving up': (0, -19.2, 1, 0),
            'moving down': (0, 19.2, 1, 0),
            'shrinking': (0, 0, 2**-0.2, 0),
            'growing': (0, 0, 2**0.2, 0),
            'turning left': (0, 0, 1, -72),  # 0.2 turns
            'turning right': (0, 0, 1, 72),
        }[name]
        assert (*shift, growth, turn) == pytest.approx(expected, abs=0.1), name


def test_frames_show_the_motion_of_the_name():
    # The picture itself: a frame warped by the motion is the next one.
    clip = sample_clip(0, 'train', 0)
    for name in CLIP_CLASSES:
        course = one_shot(name, 0.1)
        still = one_shot(name, 0.0)
        filmed = Clip(clip.scene, course, 0, (96, 128), 80).frames()
        first, *_, last = (frame for _, frame in zip(range(31), filmed, strict=False))
        assert np.array_equal(
            first, next(Clip(clip.scene, still, 0, (96, 128), 2).frames())
        )
        step = np.vstack([course.matrix(0, 96, 128), [0, 0, 1]])
        later = np.vstack([course.matrix(30 / 80, 96, 128), [0, 0, 1]])
        back = (np.linalg.inv(step) @ later)[:2]
        moved = cv2.warpAffine(
            first, back, (128, 96), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )
        inside = np.s_[24:-24, 24:-24]
        error = np.abs(moved[inside].astype(int) - last[inside]).mean()
        assert error < 0.5 * np.abs(first[inside].astype(int) - last[inside]).mean()


def test_the_class_says_what_runs_and_all_else_stays(courses):
    for label, name in enumerate(CLIP_CLASSES):
        which, way = MOTIONS[name]
        low, high = clips.RUNS[which]
        runs = np.array([course.runs for course in courses[label]])
        assert (way * runs[:, which]).min() >= low
        assert (way * runs[:, which]).max() <= high
        assert not np.delete(runs, which, axis=1).any()


def test_a_clip_has_two_to_four_shots_with_the_same_motion(courses):
    counts = []
    for label in range(8):
        for course in courses[label]:
            shots = [int(i / 32 / clips.SHOT + course.phase) for i in range(32)]
            counts.append(len(set(shots)))
            assert max(shots) < len(course.starts)
    assert set(counts) == {3, 4} or set(counts) == {2, 3, 4}
    for name in CLIP_CLASSES:
        course = one_shot(name, 0.1)
        starts = np.random.default_rng(0).random((4, 4))
        course = Course(starts, course.runs, 0.5)
        speeds = []
        for time in (0.02, 0.25, 0.65):  # one in each of the three shots
            now, later = course.state(time), course.state(time + 1e-4)
            turned = (later[0] - now[0])[2:]
            speeds.append(np.append(later[1] - now[1], (turned + 0.5) % 1 - 0.5) / 1e-4)
        assert np.allclose(speeds, course.runs, atol=1e-6)


@pytest.mark.parametrize('frame', [0, 7, 16, 31])
def test_view_of_any_single_frame_does_not_depend_on_the_class(courses, frame):
    views = {}
    for label, found in courses.items():
        rows = []
        for course in found:
            state, moved = course.state(frame / 32)
            matrix = course.matrix(frame / 32, 96, 128)
            looks_at = matrix @ [64, 48, 1] / (2 * clips.SIDE * 96) % 1
            rows.append([*looks_at, *state[2:]])
            assert abs(moved).max() <= clips.SHOT * 0.55
        views[label] = np.array(rows)
    for label, found in views.items():
        for which in range(4):
            # All are uniform: the largest distance of 150 values from the diagonal is
            # below 1.95 / sqrt(150) with probability 0.999 (Kolmogorov and Smirnov).
            gap = np.abs(np.sort(found[:, which]) - np.linspace(0, 1, 150)).max()
            assert gap < 1.95 / np.sqrt(150) + 0.01, (label, which)
        # Nor do any two go together: 3.3 deviations of 150 independent pairs.
        correlations = np.corrcoef(found.T)[np.triu_indices(4, 1)]
        assert np.abs(correlations).max() < 3.5 / np.sqrt(150)


def test_looks_do_not_depend_on_the_class(monkeypatch):
    first = sample_clip(0, 'train', 3)
    drawn = {}
    for name in CLIP_CLASSES:
        monkeypatch.setattr(clips, 'CLIP_CLASSES', (name,) * 8)
        clip = sample_clip(0, 'train', 3)
        assert np.array_equal(clip.scene, first.scene)
        drawn[name] = (clip.course.starts.tolist(), clip.course.phase)
    assert all(one == drawn['moving left'] for one in drawn.values())


def test_neighbours_cannot_tell_the_class_from_a_frame_but_from_two_frames():
    # Nearest neighbours that are told all that a frame can show: its view of the scene.
    one, two, labels = [], [], []
    for index in range(1200):
        course = sample_course(scene.picture_rng(1, 'train', index), index % 8)
        views = [course.matrix(time, 96, 128) for time in (0.5, 0.53)]
        state = course.state(0.5)[0]
        turn = 2 * np.pi * state[3]
        place = np.pi * (views[0] @ [64, 48, 1]) / (clips.SIDE * 96)
        one.append(
            [*np.cos(place), *np.sin(place), state[2], np.cos(turn), np.sin(turn)]
        )
        there = np.vstack([views[1], [0, 0, 1]])
        motion = np.linalg.inv(there)[:2] @ np.vstack([views[0], [0, 0, 1]])
        two.append([*(motion @ [64, 48, 1] - [64, 48]), *(motion[:, :2].ravel() * 50)])
        labels.append(index % 8)
    labels = np.array(labels)

    def accuracy(features, scale):
        features = np.array(features) / scale
        gaps = ((features[:300, None] - features[None, 300:]) ** 2).sum(-1)
        near = np.argsort(gaps, axis=1)[:, :9]
        votes = [np.bincount(labels[300:][row], minlength=8).argmax() for row in near]
        return np.mean(votes == labels[:300])

    chance = 1 / 8
    assert accuracy(one, np.std(one, 0)) < chance + 3.3 * (chance * 7 / 8 / 300) ** 0.5
    assert accuracy(two, 1.0) > 0.8  # but for the clips with a cut in between


def test_a_class_is_its_partner_played_backwards():
    for label in range(0, 8, 2):
        (which, way), (other, opposite) = (
            MOTIONS[CLIP_CLASSES[label + i]] for i in (0, 1)
        )
        assert (which, way) == (other, -opposite)
