"""classes.txt: names, colours, what is no class, and every mistake in it."""

import pytest

from projects.common.errors import UserError
from projects.seg.class_list import read_class_list


def write(tmp_path, text):
    path = tmp_path / 'classes.txt'
    path.write_text(text)
    return path


def test_lines_are_the_labels_from_0(tmp_path):
    found = read_class_list(write(tmp_path, 'road\nside walk\n\n'))
    assert found.names == ('road', 'side walk')
    assert not found.first_is_nothing
    assert found.colors == ()


def test_a_dash_in_the_first_line_says_that_label_0_is_no_class(tmp_path):
    found = read_class_list(write(tmp_path, '-\nroad\nsky\n'))
    assert found.names == ('road', 'sky')
    assert found.first_is_nothing


def test_colours_of_classes_and_of_nothing(tmp_path):
    text = 'road 128 64 128\n- 0 0 0\nsky, 70, 130, 180\n- 1 1 1\n'
    found = read_class_list(write(tmp_path, text))
    assert found.names == ('road', 'sky')
    assert found.colors == ((128, 64, 128), (70, 130, 180))
    assert found.ignored == ((0, 0, 0), (1, 1, 1))
    assert not found.first_is_nothing


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'lists 0 classes'),
        ('road\n', 'lists 1 classes'),
        ('\n'.join(map(str, range(255))), 'lists 255 classes'),
        ('road\n\nsky\n', 'line 2 is empty'),
        ('road\nsky\nroad\n', 'road is listed twice'),
        ('road\nsky 1 2 3\n', "'road' has no colour"),
        ('road 1 2 3\nsky 1 2 3\n', r'\(1, 2, 3\) is listed twice'),
        ('road 1 2 3\nsky 1 2 256\n', 'line 2 is no "name R G B"'),
        ('road\n-\nsky\n', 'only the first line'),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message) as caught:
        read_class_list(write(tmp_path, text))
    assert str(tmp_path / 'classes.txt') in str(caught.value)
    assert '\n' not in str(caught.value)


def test_the_byte_order_mark_of_some_editors_is_no_part_of_a_name(tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_text('-\nroad\nsky\n', 'utf-8-sig')
    found = read_class_list(path)
    assert found.names == ('road', 'sky')
    assert found.first_is_nothing


def test_a_list_that_is_no_text(tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(UserError, match='cannot be read as text'):
        read_class_list(path)
