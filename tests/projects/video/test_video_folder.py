"""A user's own folder of videos becomes lists; only names matter, not contents."""

from pathlib import Path

import pytest

from projects.common.errors import UserError
from projects.video.video_folder import find_lists


def fill(root, names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def rows(path):
    return [line.rsplit(',', 1) for line in Path(path).read_text().splitlines()]


def test_class_folders_are_split_by_the_hash_of_the_name(tmp_path):
    root = tmp_path / 'own'
    names = [
        f'{c}/{i:03}.mp4' for c in ('wave', 'jump, high', 'run') for i in range(100)
    ]
    fill(root, [*names, 'run/notes.txt', 'run/.hidden.mp4', '.cache/x.mp4'])
    lists = find_lists(root, tmp_path / 'out')
    assert lists.classes == ('jump, high', 'run', 'wave')
    train, val = rows(lists.train), rows(lists.val)
    assert sorted(name for name, _ in train + val) == sorted(names)
    assert 30 < len(val) < 90  # 60 expected
    for name, label in train + val:
        assert lists.classes[int(label)] == name.split('/')[0]
    assert {label for _, label in val} == {'0', '1', '2'}
    before = set(map(tuple, val))
    fill(root, [f'run/{i:03}.avi' for i in range(50)])
    again = find_lists(root, tmp_path / 'other')
    assert before <= set(map(tuple, rows(again.val)))
    written = (tmp_path / 'out' / 'classes.txt').read_text().splitlines()
    assert tuple(written) == lists.classes


def test_tiny_classes_are_in_both_halves(tmp_path):
    fill(tmp_path, [f'{c}/{i}.mp4' for c in 'abcdef' for i in range(2)])
    lists = find_lists(tmp_path, tmp_path / 'out')
    for part in (lists.train, lists.val):
        assert sorted(label for _, label in rows(part)) == list('012345')


@pytest.mark.parametrize('val', ['val', 'valid', 'validation', 'test'])
def test_folders_of_splits_are_taken_as_they_are(tmp_path, val):
    fill(tmp_path, ['train/b/1.mp4', 'train/a/1.webm', f'{val}/b/2.mp4'])
    lists = find_lists(tmp_path, tmp_path / 'out')
    assert lists.classes == ('a', 'b')
    assert rows(lists.train) == [['train/a/1.webm', '0'], ['train/b/1.mp4', '1']]
    assert rows(lists.val) == [[f'{val}/b/2.mp4', '1']]


def test_ready_lists_are_used_in_place(tmp_path):
    (tmp_path / 'train.csv').write_text('a.mp4,0\n')
    (tmp_path / 'val.csv').write_text('b.mp4,1\n')
    with pytest.raises(UserError, match=r'classes.txt: missing'):
        find_lists(tmp_path)
    (tmp_path / 'classes.txt').write_text('up\ndown\n')
    lists = find_lists(tmp_path)
    assert lists.train == tmp_path / 'train.csv'
    assert lists.classes == ('up', 'down')


def test_data_are_not_touched_by_default(tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'home' / 'demo'))
    root = tmp_path / 'own'
    fill(root, ['a/1.mp4', 'a/2.mp4', 'b/1.mp4', 'b/2.mp4'])
    lists = find_lists(root)
    assert sorted(p.name for p in root.iterdir()) == ['a', 'b']
    assert lists.train.is_relative_to(tmp_path / 'home')
    assert find_lists(root) == lists


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (None, 'no such folder'),
        ([], 'no videos'),
        (['1.mp4', '2.mp4'], 'videos, but not in class folders'),
        (['a/1.mp4', 'a/2.mp4'], 'one class'),
        (['a/1.mp4', 'b/1.mp4'], 'no videos to validate on'),
        (['train/a/1.mp4', 'eval/a/1.mp4'], 'train: a split, not a class'),
        (['train/a/1.mp4', 'train/b/1.mp4', 'val/c/1.mp4'], r'val/c: no such class'),
    ],
)
def test_other_layouts_get_one_message(tmp_path, names, message):
    root = tmp_path / 'own'
    if names is not None:
        root.mkdir()
        fill(root, names)
    with pytest.raises(UserError, match=message):
        find_lists(root, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
