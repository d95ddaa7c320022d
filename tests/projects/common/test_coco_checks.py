"""What every COCO file must have, whatever is learned from it."""

import json

import pytest

from projects.common.coco_checks import check_annotations, read_annotations
from projects.common.errors import UserError


@pytest.fixture
def content():
    image = {'id': 7, 'file_name': 'a.jpg', 'width': 9, 'height': 6}
    thing = {'id': 3, 'image_id': 7, 'category_id': 2, 'bbox': [0, 1.5, 2, 0]}
    return {
        'images': [image],
        'annotations': [thing],
        'categories': [{'id': 2, 'name': 'cat'}],
    }


def refuse(tmp_path, content, message):
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message) as caught:
        check_annotations(read_annotations(path), path, 'val', lambda *_: None)
    text = str(caught.value)
    assert text.startswith(f'{path}: ')
    assert '\n' not in text


def test_the_least_that_is_needed_passes(tmp_path, content):
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(content))
    seen = []
    check_annotations(
        read_annotations(path), path, 'val', lambda *entries: seen.append(entries)
    )
    assert seen == [(content['annotations'][0], content['images'][0])]


@pytest.mark.parametrize(
    ('key', 'number', 'message'),
    [
        ('annotations', '000001', "entry 0 of .annotations. has the id '000001'; ids"),
        ('annotations', 1.5, 'has the id 1.5; ids must be whole numbers'),
        ('annotations', None, 'has the id None'),
        ('images', '7', "entry 0 of .images. has the id '7'"),
        ('images', True, 'has the id True'),
        ('categories', '2', "entry 0 of .categories. has the id '2'"),
    ],
)
def test_ids_are_whole_numbers(tmp_path, content, key, number, message):
    content[key][0]['id'] = number
    refuse(tmp_path, content, message)


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('annotations', '2 annotations have the id 3'),
        ('images', '2 images have the id 7'),
        ('categories', '2 categories have the id 2'),
    ],
)
def test_ids_are_unique(tmp_path, content, key, message):
    content[key] *= 2
    refuse(tmp_path, content, message)


@pytest.mark.parametrize(
    ('key', 'change', 'message'),
    [
        ('images', {'file_name': None}, 'entry 0 of "images" has no "file_name"'),
        ('categories', {'name': 5}, 'entry 0 of "categories" has no "name"'),
        ('images', {'width': '9'}, '\'a.jpg\' has no "width" or "height"'),
        ('images', {'height': 0}, '\'a.jpg\' has no "width" or "height"'),
        ('annotations', {'category_id': None}, 'annotation 3 has no "category_id"'),
        ('annotations', {'category_id': 1}, 'of category 1, which is not listed'),
        ('annotations', {'category_id': [2]}, r'of category \[2\], which is not'),
        ('annotations', {'image_id': '7'}, "of image '7', which is not listed"),
        ('annotations', {'image_id': None}, 'annotation 3 has no "image_id"'),
        ('annotations', {'bbox': []}, 'has no "bbox" of four numbers'),
        ('annotations', {'bbox': None}, 'has no "bbox" of four numbers'),
        ('annotations', {'bbox': [1, 2, 3]}, 'has no "bbox" of four numbers'),
        ('annotations', {'bbox': ['1', 2, 3, 4]}, 'has no "bbox" of four numbers'),
        ('annotations', {'bbox': [1, 2, 3, float('nan')]}, '"bbox" of four numbers'),
    ],
)
def test_entries_are_complete(tmp_path, content, key, change, message):
    content[key][0].update(change)
    refuse(tmp_path, content, message)


def test_entries_are_objects(tmp_path, content):
    refuse(tmp_path, {**content, 'images': [5]}, '"images" must list objects')


def test_a_byte_order_mark_is_named(tmp_path, content):
    """Not read: the COCO readers of the libraries would stop at it later."""
    path = tmp_path / 'x.json'
    path.write_text(json.dumps(content), 'utf-8-sig')
    with pytest.raises(UserError, match=r'x\.json: starts with a byte order mark'):
        read_annotations(path)


def test_a_file_that_is_no_text_is_no_json(tmp_path):
    path = tmp_path / 'x.json'
    path.write_bytes(b'\xff\x00')
    with pytest.raises(UserError, match=r'x\.json: not a json file'):
        read_annotations(path)
