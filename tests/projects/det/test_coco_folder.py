"""Where annotations and images of COCO-style folders are looked for."""

import json

import pytest

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import UserError
from projects.det.coco_folder import find_splits

CATEGORIES = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]


def write(file, image, categories=CATEGORIES):
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [{'id': 1, 'file_name': image.name, 'width': 9, 'height': 9}]
    content = {'images': images, 'annotations': [], 'categories': categories}
    file.write_text(json.dumps(content))
    image.parent.mkdir(parents=True, exist_ok=True)
    image.touch()


@pytest.mark.parametrize('val', ['val', 'valid'])
@pytest.mark.parametrize(
    ('file', 'image'),
    [
        ('{}/_annotations.coco.json', '{}/{}.jpg'),  # as Roboflow exports it
        ('{}.json', '{}/{}.jpg'),
        ('annotations/{}.json', 'images/{}/{}.jpg'),
        ('annotations/instances_{}2017.json', '{}2017/{}.jpg'),
    ],
)
def test_usual_layouts_are_found(tmp_path, file, image, val):
    for split in ('train', val):
        write(tmp_path / file.format(split), tmp_path / image.format(split, split))
    parts = find_splits(tmp_path)
    for part, split in zip(parts, ('train', val), strict=True):
        assert part.annotations == tmp_path / file.format(split)
        assert part.images == (tmp_path / image.format(split, split)).parent
        assert part.classes == ('cat', 'dog')


def test_classes_are_named_as_mmdet_labels_them(tmp_path):
    for split in ('train', 'val'):
        write(tmp_path / f'{split}.json', tmp_path / 'images/a.jpg', CATEGORIES[::-1])
    from mmdet.datasets import CocoDataset

    part, _ = find_splits(tmp_path)
    classes = {'classes': part.classes}
    dataset = CocoDataset(
        str(part.annotations), metainfo=classes, data_prefix={'img': ''}
    )
    names = {category['id']: category['name'] for category in CATEGORIES}
    for number, label in dataset.cat2label.items():
        assert part.classes[label] == names[number]


def test_a_category_without_a_name_is_one_line(tmp_path):
    for split in ('train', 'val'):
        write(tmp_path / f'{split}.json', tmp_path / 'images/a.jpg', [{'id': 1}])
    with pytest.raises(UserError, match=r'train.json: entry 0 of "categories" has no '):
        find_splits(tmp_path)
