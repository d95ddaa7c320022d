"""Instances files that cannot be trained on, each told in one line."""

import pytest

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import UserError
from projects.common.world.coco import write_coco
from projects.det import checks
from projects.det.checks import check_things
from tests.coco_files import edit, first

CROWD = {'size': [64, 64], 'counts': [10, 30, 4056]}  # a run-length code, as COCO's


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return write_coco(tmp_path_factory.mktemp('things'), 2, 1, size=64)


@pytest.fixture
def file(world, tmp_path):
    text = (world / 'annotations/instances_train2017.json').read_text()
    (tmp_path / 'train.json').write_text(text)
    return tmp_path / 'train.json'


def check(world, file, masks=True):
    check_things(file, world / 'train2017', None, masks, 'train')


def everything(content, **values):
    for thing in content['annotations']:
        thing.update(values)


@pytest.fixture
def told(monkeypatch):
    lines = []
    monkeypatch.setattr(checks, 'print_log', lambda text, **_: lines.append(text))
    return lines


def test_good_files_pass_with_polygons_and_crowds(world, file, told):
    check(world, file)

    def vary(content):
        first(content)['segmentation'] = [[1, 1, 9, 1, 9, 9], [1, 1]]
        number = {'id': 10**9, 'iscrowd': 1, 'segmentation': CROWD}
        content['annotations'].append({**first(content), **number})

    edit(file, vary)
    check(world, file)
    assert told == []


def test_boxes_alone_are_enough_where_no_masks_are_learned(world, file):
    edit(file, lambda c: everything(c, segmentation=[]))
    check(world, file, masks=False)
    with pytest.raises(UserError, match='no "segmentation" to learn masks from'):
        check(world, file)


def test_what_mmdet_leaves_out_is_counted_in_a_warning(world, file, told):
    edit(file, lambda c: first(c).update(area=0))
    check(world, file)
    [line] = told
    assert '1 of ' in line
    assert 'annotations are left out' in line


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: first(c).pop('area'), 'has no "area" in pixels'),
        (lambda c: first(c).update(area=None), 'has no "area" in pixels'),
        (lambda c: first(c).pop('iscrowd'), 'has no "iscrowd"; 0 stands'),
        (lambda c: first(c).pop('segmentation'), 'has no "segmentation"'),
        (lambda c: first(c).update(segmentation=[[1, 1, 5, 5]]), '"segmentation"'),
        (lambda c: first(c).update(segmentation=[1, 1, 5, 5, 9, 1]), 'polygons'),
        (
            lambda c: first(c).update(segmentation=[[[1, 1]] * 6]),
            'polygons',
        ),
        (
            lambda c: first(c).update(segmentation={**CROWD, 'size': [9, 9]}),
            'of the size of its image',
        ),
        (lambda c: first(c).pop('bbox'), 'has no "bbox" of four numbers'),
        (lambda c: first(c).update(category_id=99), 'of category 99, which is not li'),
        (lambda c: first(c).update(image_id=99), 'of image 99, which is not listed'),
        (lambda c: c['images'][0].pop('height'), 'has no "width" or "height"'),
        (lambda c: everything(c, area=0), 'not one annotation has an area'),
        (lambda c: everything(c, iscrowd=1), 'not one annotation .* iscrowd 0'),
        (lambda c: everything(c, bbox=[64, 0, 9, 9]), 'a box inside its image'),
    ],
)
def test_every_fault_is_one_line(world, file, change, message):
    edit(file, change)
    with pytest.raises(UserError, match=message) as caught:
        check(world, file)
    text = str(caught.value)
    assert text.startswith(f'{file}: ')
    assert text.endswith('(train)')
    assert '\n' not in text
