"""Semantic FPN UniFormer-S learns the people of four COCO photographs by heart."""

import re
from contextlib import redirect_stdout
from io import StringIO

import cv2
import pytest
from pycocotools.coco import COCO

from tests.tools.conftest import PHOTOGRAPHS, ROOT

FPN = ROOT / 'configs/seg/fpn_uniformer_s.py'
OPTIONS = ('--quick', 128, '--steps', 300, '--init', 'none')


@pytest.fixture
def masks(tmp_path):
    """The photographs with masks of 0 and, inside the polygons of people, 1."""
    with redirect_stdout(StringIO()):  # pycocotools prints
        coco = COCO(PHOTOGRAPHS / 'person_keypoints_val4.json')
    for name in ('images', 'masks'):
        (tmp_path / name).mkdir()
    (tmp_path / 'classes.txt').write_text('background\nperson\n')
    for number, image in coco.imgs.items():
        path = PHOTOGRAPHS / image['file_name']
        (tmp_path / 'images' / path.name).write_bytes(path.read_bytes())
        people = coco.imgToAnns[number]
        mask = sum(coco.annToMask(person) for person in people).clip(0, 1)
        cv2.imwrite(str(tmp_path / f'masks/{path.stem}.png'), mask)
    return tmp_path


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason='no photographs here')
def test_training_set_miou_is_above_08_on_four_photographs(run_tool, masks):
    """The command of configs/seg/README.md."""
    arguments = ('--data', masks, *OPTIONS, '--work-dir', masks / 'run')
    result = run_tool('train', FPN, *arguments, timeout=3000)
    assert result.returncode == 0, result.stderr[-2000:]
    assert 'training and testing on the same images' in result.stdout
    [iou] = re.findall(r'mean IoU \(%\)\D+([\d.]+)', result.stdout)
    assert float(iou) >= 80
    assert (masks / 'run/pictures/class_iou.png').is_file()
