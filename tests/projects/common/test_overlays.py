"""What is drawn over an image lies where the prediction says."""

import numpy as np
import pytest

from projects.common.overlays import (
    draw_poses,
    draw_scores,
    draw_segments,
    frame_strip,
)
from projects.common.pictures import class_color

GREY = np.full((60, 90, 3), 128, np.uint8)


def test_segments_have_the_colour_of_their_class():
    labels = np.zeros((60, 90), int)
    labels[:, 45:] = 2
    picture = draw_segments(GREY, labels, ['a', 'b', 'c'])
    assert picture.shape == (480, 720, 3)
    for x, label in ((300, 0), (650, 2)):
        mixed = 0.5 * np.array(class_color(label)) + 64
        assert np.abs(picture[400, x] - mixed).max() <= 1


def test_only_sure_keypoints_and_links_between_them_are_drawn():
    points = np.array([[[10.0, 10], [80, 10], [45, 50]]])
    meta = {'skeleton_links': [(0, 1), (0, 2)]}
    scores = np.array([[0.9, 0.9, 0.1]])
    picture = draw_poses(GREY, points, scores, meta, 0.3)
    assert (picture[80, 80] != 128).any()  # ten by ten, eight times enlarged
    assert (picture[80, 360] != 128).any()  # half way along the link
    assert (picture[400, 360] == 128).all()  # the unsure one
    assert (picture[240, 220] == 128).all()  # half way to it
    assert (draw_poses(GREY, points, scores, {}, 1.0) == 128).all()
    assert (draw_poses(GREY, points[:0], scores[:0], meta, 0) == 128).all()


def test_scores_stay_inside_a_small_picture():
    picture = draw_scores(
        GREY[:8, :8], [(f'a very long name {i}', 0.5) for i in range(99)]
    )
    assert picture.shape == (480, 480, 3)
    assert (picture != 128).any()


@pytest.mark.parametrize(('count', 'shape'), [(1, (240, 360)), (6, (480, 1440))])
def test_frames_stand_in_rows_of_four(count, shape):
    frames = [np.full_like(GREY, 10 * (i + 1)) for i in range(count)]
    strip = frame_strip(frames)
    assert strip.shape == (*shape, 3)
    if count == 6:
        assert [int(strip[360, x, 0]) for x in (180, 540, 900)] == [50, 60, 0]
