"""Keypoints files that cannot be trained on, each told in one line."""

import json

import pytest

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import UserError
from projects.common.world.figure import KEYPOINTS
from projects.common.world.people import write_people
from projects.pose.checks import check_detections, check_people, find_skeleton
from projects.pose.datasets import KeypointDataset
from tests.coco_files import edit, first


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return write_people(tmp_path_factory.mktemp('people'), 2, 1, size=96)


@pytest.fixture
def file(world, tmp_path):
    text = (world / 'annotations/person_keypoints_train2017.json').read_text()
    (tmp_path / 'train.json').write_text(text)
    return tmp_path / 'train.json'


def check(world, file):
    check_people(file, world / 'train2017', KEYPOINTS, 'train')


def test_good_files_pass(world, file):
    check(world, file)

    def ease(content):
        del first(content)['num_keypoints']
        content['annotations'].append(
            {
                **first(content),
                'id': 99,
                'keypoints': [0] * 51,
                'bbox': [0, 0, 0, 0],  # of nobody, so it does not matter
            }
        )

    edit(file, ease)
    check(world, file)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: first(c).pop('keypoints'), 'annotation 100 has no list "keypoints"'),
        (
            lambda c: first(c).update(keypoints=[1, 2, 2] * 14),
            '42 numbers in "keypoints"; 17 names make 51',
        ),
        (lambda c: first(c).update(keypoints=['1'] * 51), 'that are no numbers'),
        (lambda c: first(c).update(keypoints=[3] * 51), 'third number is not 0, 1 or'),
        (lambda c: first(c).update(bbox=[5, 5, 0, 20]), 'box without area: .5, 5, 0, '),
        (lambda c: first(c).update(bbox=[5, 5, 9, -1]), 'box without area'),
        (lambda c: first(c).update(bbox=[500, 5, 9, 9]), 'box outside its image'),
        (lambda c: first(c).pop('bbox'), 'no "bbox" of four numbers'),
        (
            lambda c: first(c).update(keypoints=[0] * 51, bbox=[]),
            'no "bbox" of four numbers',
        ),
        (
            lambda c: first(c).update(keypoints=[float('nan')] * 51),
            'keypoints that are no numbers',
        ),
        (
            lambda c: first(c).update(area='9'),
            "has the area '9', which is no number",
        ),
        (
            lambda c: first(c).update(category_id=4),
            'of category 4, which is not listed',
        ),
        (lambda c: first(c).pop('category_id'), 'annotation 100 has no "category_id"'),
        (lambda c: first(c).update(image_id=77), 'of image 77, which is not listed'),
        (lambda c: c['annotations'].append(first(c)), '2 annotations have the id 100'),
        (lambda c: c['images'][0].pop('width'), 'has no "width" or "height"'),
        (
            lambda c: [a.update(keypoints=[0] * 51) for a in c['annotations']],
            'not one keypoint is labelled',
        ),
        (lambda c: c['categories'][0].pop('keypoints'), 'no "keypoints", the list of'),
        (
            lambda c: c['categories'][0].update(keypoints=['a', 'b'], skeleton=[]),
            'has 2 keypoints .a, b.* the config trains 17 .nose, left_eye, right_eye, ',
        ),
        (
            lambda c: c['categories'].append(
                {'id': 2, 'name': 'cat', 'keypoints': ['nose']}
            ),
            'different keypoints',
        ),
        (lambda c: c['categories'].clear(), 'no categories'),
        (lambda c: c['annotations'].clear(), 'no annotations'),
        (
            lambda c: c['images'][1].update(file_name='no.jpg'),
            '1 of the 2 images.*no.j',
        ),
    ],
)
def test_every_fault_is_one_line(world, file, change, message):
    edit(file, change)
    with pytest.raises(UserError, match=message) as caught:
        check(world, file)
    assert str(file) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_several_faults_have_a_line_each_and_then_a_count(world, file):
    edit(
        file,
        lambda c: c.update(
            annotations=[{**first(c), 'id': i, 'image_id': 77} for i in range(11)]
        ),
    )
    with pytest.raises(UserError) as caught:
        check(world, file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 9
    assert 'annotation 7 is of image 77' in lines[7]
    assert lines[8].endswith('and 3 more')


def test_categories_of_one_skeleton_are_one_skeleton(file):
    edit(
        file,
        lambda c: c['categories'].append({**c['categories'][0], 'id': 2, 'name': 'x'}),
    )
    assert find_skeleton(file)[0].keypoints == KEYPOINTS


DUMMY = {'id': 0, 'name': 'things', 'supercategory': 'none'}  # as Roboflow writes it


def test_a_category_without_keypoints_that_nobody_is_of_is_left_out(world, file):
    edit(file, lambda c: c['categories'].insert(0, DUMMY))
    assert find_skeleton(file)[0].keypoints == KEYPOINTS
    check(world, file)
    dataset = KeypointDataset(
        ann_file=str(file), data_prefix={'img': str(world / 'train2017')}
    )
    assert dataset.metainfo['CLASSES'] == ('person',)
    edit(file, lambda c: first(c).update(category_id=0))
    with pytest.raises(UserError, match=r"category 'things': no .keypoints."):
        find_skeleton(file)


def test_detected_boxes_are_looked_at(tmp_path):
    boxes = tmp_path / 'boxes.json'
    with pytest.raises(UserError, match='no such file of detected boxes') as caught:
        check_detections(boxes)
    assert 'val_dataloader.dataset.bbox_file=None' in str(caught.value)
    for text in ('[', '{}', '[]', '[{"bbox": []}]'):
        boxes.write_text(text)
        with pytest.raises(UserError, match='not a'):
            check_detections(boxes)
    box = {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 1, 1], 'score': 0.5}
    boxes.write_text(json.dumps([box]))
    check_detections(boxes)
