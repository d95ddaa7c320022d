"""The pictures of a run: sizes, placement, and what the log reader understands."""

import json

import cv2
import numpy as np
import pytest

from projects.common.curve import read_metrics, read_scalars, smooth
from projects.common.pictures import (
    class_color,
    contact_sheet,
    draw_instances,
    enlarge,
    loss_curve,
    side_by_side,
)

GREY = np.full((40, 60, 3), 128, np.uint8)


def make_log(by_epoch):
    """A log of mmengine's: 20 iterations, a validation after each ten."""
    records = []
    for step in range(1, 21):
        records.append({'lr': 1e-3, 'loss': 4 / step, 'step': step, 'time': 0.1})
        if step % 10 == 0:
            at = step // 10 if by_epoch else step
            records.append({'coco/bbox_mAP_50': step / 40, 'time': 0.1, 'step': at})
    return records


def test_instances_are_drawn_where_they_are_and_nowhere_else():
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 20:35, 30:50] = True
    drawn = draw_instances(
        GREY, np.array([[30, 20, 50, 35]]), [0], ['box'], mask, [0.9], min_side=40
    )
    assert drawn.shape == GREY.shape
    assert (drawn[25:30, 35:45] != 128).any(-1).all()  # the mask
    assert np.array_equal(drawn[:, :25], GREY[:, :25])
    assert tuple(drawn[20, 49]) == class_color(0)  # a corner of the box
    assert (GREY == 128).all()  # the input is left alone


def test_image_without_instances_is_only_enlarged():
    drawn = draw_instances(GREY, np.zeros((0, 4)), [], [], np.zeros((0, 40, 60)), [])
    assert drawn.shape == (480, 720, 3)
    assert (drawn == 128).all()


def test_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match=r'equally many, got \[1, 2\]'):
        draw_instances(GREY, np.zeros((2, 4)), [0], ['box'])


def test_large_images_are_not_shrunk():
    assert enlarge(np.zeros((50, 80, 3), np.uint8), 20).shape == (50, 80, 3)
    assert enlarge(np.ones((50, 80), bool), 100).all()


def test_neighbouring_classes_have_distinct_colors():
    colors = np.array([class_color(label) for label in range(8)], float)
    apart = np.linalg.norm(colors[:, None] - colors[None], axis=-1)
    assert apart[~np.eye(8, dtype=bool)].min() > 40


def test_row_holds_the_three_pictures_under_their_titles():
    overlay = cv2.resize(GREY, (120, 80))
    row = side_by_side(GREY, overlay, overlay)
    # Gap 10, three cells of 120 with their gaps; title line 28 above 80 pixels.
    assert row.shape == (10 + 28 + 80 + 10, 10 + 3 * 130, 3)
    assert (row[40:110, 20:120] == 128).all()
    assert (row[10:38] < 255).any()


def test_contact_sheet_fits_pictures_of_any_size():
    sheet = contact_sheet([GREY] * 5, columns=3, cell=(30, 30), gap=2)
    assert sheet.shape == (2 + 2 * 32, 2 + 3 * 32, 3)
    assert (sheet[40:, 70:] == 255).all()  # the sixth cell stays paper
    with pytest.raises(ValueError, match='need pictures'):
        contact_sheet([])
    with pytest.raises(ValueError, match='as many titles'):
        contact_sheet([GREY], titles=['a', 'b'])


@pytest.mark.parametrize('by_epoch', [True, False])
def test_metrics_stand_at_their_iteration_in_both_loops(by_epoch):
    points = read_metrics(make_log(by_epoch))
    assert points == {'coco/bbox_mAP_50': [(10, 0.25), (20, 0.5)]}


def test_smoothing_starts_at_the_first_value():
    # Weights 0.5 * 0.5 and 0.5 over 0.75: (0.25 * 1 + 0.5 * 4) / 0.75 = 3.
    assert smooth([1, 4], weight=0.5).tolist() == [1, 3]


@pytest.mark.parametrize('metrics', [None, ['coco/bbox_mAP_50', 'absent'], ['absent']])
def test_curve_is_written_from_the_file_mmengine_writes(tmp_path, metrics):
    log = tmp_path / 'scalars.json'
    log.write_text('\n'.join(json.dumps(record) for record in make_log(True)) + '\n')
    written = loss_curve(log, tmp_path / 'curve.png', metrics)
    image = cv2.imread(str(written))
    assert image.shape[1] == 864  # 7.2 inches at 120 dots
    assert image.std() > 5


def test_log_without_loss_or_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match='no record with a loss'):
        loss_curve([{'mIoU': 1.0, 'step': 1}], tmp_path / 'curve.png')
    (tmp_path / 'log').write_text('epoch 1')
    with pytest.raises(ValueError, match='not a log of json lines'):
        read_scalars(tmp_path / 'log')
