"""Image folders as lists for mmpretrain, and the check of their images."""

import numpy as np
import pytest
from PIL import Image

from projects.cls.image_folder import (
    CHECKED,
    check_images,
    read_image_folder,
    read_image_list,
    write_image_lists,
)
from projects.common.errors import UserError


def write_image(path, suffix='.jpg'):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(path.with_suffix(suffix))
    return path.with_suffix(suffix)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'pets'
    for name in ('big cat', 'dog'):
        for i in range(5):
            write_image(root / name / f'photo {i}', '.png' if i else '.JPG')
    return root


def test_lists_hold_names_with_spaces_and_labels(folder, tmp_path):
    folders = read_image_folder(folder)
    train, val = write_image_lists(folders, tmp_path / 'lists')
    assert folders.classes == ('big cat', 'dog')
    pairs = read_image_list(train) + read_image_list(val)
    assert len(pairs) == 10
    for name, label in pairs:
        assert (folder / name).is_file()
        assert name.startswith(folders.classes[label])


def test_lists_go_to_the_cache_and_leave_the_data_alone(folder, tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'cache/demo'))
    before = sorted(folder.rglob('*'))
    train, val = write_image_lists(read_image_folder(folder))
    assert sorted(folder.rglob('*')) == before
    assert train.is_relative_to(tmp_path / 'cache/lists')
    assert val.parent == train.parent
    assert sorted(train.parent.iterdir()) == [train, val]


def test_a_line_that_is_no_pair_is_named(tmp_path):
    file = tmp_path / 'list.txt'
    file.write_text('a/1.jpg 0\nb/2.jpg\n')
    with pytest.raises(UserError, match='line 2 is not NAME LABEL'):
        read_image_list(file)


def test_bad_images_are_named_with_the_reason_and_counted(folder):
    images = sorted(folder.rglob('photo*'))
    check_images(images, 'train')
    content = images[0].read_bytes()
    images[0].write_bytes(content[: len(content) // 2])
    images[1].write_bytes(b'')
    images[2].write_text('hello')
    images[3].unlink()
    with pytest.raises(UserError) as caught:
        check_images(images, 'train')
    message = str(caught.value)
    assert '4 of 10 train images' in message
    assert 'and 1 more' in message
    assert f'{images[0]} (image file is truncated' in message
    assert f'{images[1]} (empty)' in message
    assert f'{images[2]} (no image)' in message
    assert '\n' not in message
    with pytest.raises(UserError, match='missing'):
        check_images(images[3:], 'val')


def test_of_many_images_an_even_share_is_decoded(folder, monkeypatch):
    from projects.cls import image_folder

    looked = []
    monkeypatch.setattr(
        image_folder, 'find_bad_images', lambda paths: looked.extend(paths) or []
    )
    check_images(list(range(3 * CHECKED)), 'train')
    assert looked == list(range(0, 3 * CHECKED, 3))
