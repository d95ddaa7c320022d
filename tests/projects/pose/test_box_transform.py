"""The augmentation of boxes: clipped normal numbers, and no shift."""

import numpy as np
import pytest

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.pose.transforms import ClippedBoxTransform


@pytest.fixture
def results():
    np.random.seed(0)  # noqa: NPY002 - the transforms' generator
    n = 20000
    boxes = {'bbox_center': np.ones((n, 2)), 'bbox_scale': np.full((n, 2), 10.0)}
    return ClippedBoxTransform()(boxes)


def test_scales_pile_up_at_their_ends(results):
    factors = results['bbox_scale'] / 10
    assert (factors[:, 0] == factors[:, 1]).all()
    factors = factors[:, 0]
    assert (factors.min(), factors.max()) == (0.5, 1.5)
    # A normal number is beyond one sigma in 31.7 of 100 cases, evenly on both sides.
    for end in (0.5, 1.5):
        assert (factors == end).mean() == pytest.approx(0.1587, abs=0.01)
    inside = factors[(factors > 0.5) & (factors < 1.5)]
    # Within half a sigma: (0.3829 of all) of those inside (0.6827 of all).
    assert (abs(inside - 1) < 0.25).mean() == pytest.approx(0.561, abs=0.015)


def test_turns_are_clipped_at_two_sigmas_and_happen_in_six_of_ten(results):
    turns = results['bbox_rotation']
    assert (turns.min(), turns.max()) == (-80, 80)
    assert (turns != 0).mean() == pytest.approx(0.6, abs=0.012)
    # 4.55 of 100 normal numbers are beyond two sigmas.
    assert (abs(turns) == 80).mean() == pytest.approx(0.6 * 0.0455, abs=0.005)


def test_boxes_are_never_shifted(results):
    assert (results['bbox_center'] == 1).all()


def test_its_settings_are_used():
    np.random.seed(0)  # noqa: NPY002
    boxes = {'bbox_center': np.ones((500, 2)), 'bbox_scale': np.ones((500, 2))}
    transform = ClippedBoxTransform(scale_sigma=0.1, rotate_sigma=5, rotate_prob=1.0)
    found = transform(boxes)
    assert found['bbox_scale'].min() == pytest.approx(0.9)
    assert abs(found['bbox_rotation']).max() == 10
    assert (found['bbox_rotation'] != 0).all()
