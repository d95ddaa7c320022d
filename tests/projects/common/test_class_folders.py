"""Files in class folders: found, labelled by folder, split by the hash of the name."""

from functools import partial

import pytest

from projects.common.class_folders import (
    find_class_folders,
    find_files,
    hash_share,
    split_files,
)
from projects.common.errors import UserError

read = partial(
    find_class_folders,
    find=partial(find_files, suffixes=('.dat',)),
    kind='data',
    layout='  {root}/CLASS/*.dat',
)


def write(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_ready_halves_are_taken_as_they_are(tmp_path):
    write(tmp_path, 'train/b/1.dat', 'train/a/2.DAT', 'train/a/sub/3.dat')
    write(tmp_path, 'valid/b/1.dat', 'train/a/note.txt', 'train/.hidden/4.dat')
    found = read(tmp_path)
    assert found.classes == ('a', 'b')
    assert found.train == (
        ('train/a/2.DAT', 0),
        ('train/a/sub/3.dat', 0),
        ('train/b/1.dat', 1),
    )
    assert found.val == (('valid/b/1.dat', 1),)


def test_one_folder_is_split_eighty_to_twenty_and_stays_split(tmp_path):
    names = [f'{name}/{i}.dat' for name in 'ab' for i in range(400)]
    write(tmp_path, *names)
    found = read(tmp_path)
    assert sorted(name for name, _ in found.train + found.val) == sorted(names)
    assert len(found.val) / len(names) == pytest.approx(0.2, abs=0.04)
    held = {name for name, _ in found.val}
    assert held == {name for name in names if hash_share(name) < 0.2}
    write(tmp_path, 'a/new.dat')
    assert held <= {name for name, _ in read(tmp_path).val} <= {*held, 'a/new.dat'}


@pytest.mark.parametrize('count', [2, 3, 5])
def test_every_class_of_two_or_more_is_in_both_halves(count):
    for start in range(50):
        names = [f'{start + i}.dat' for i in range(count)]
        train, held = split_files(names)
        assert train
        assert held
        assert sorted(train + held) == sorted(names)


def test_a_class_of_one_file_is_trained_on():
    assert split_files(['only.dat']) == (['only.dat'], [])


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ([], 'no data'),
        (['x.dat'], 'data, but not in class folders'),
        (['a/1.dat', 'a/2.dat'], "one class, 'a'; two are needed"),
        (['a/1.dat', 'b/1.dat'], 'no data to validate on'),
        (['Train/a/1.dat', 'b/1.dat'], 'Train: a split, not a class'),
        (['training/a/1.dat', 'Valid/a/1.dat'], 'Valid: a split, not a class'),
        (['train/a/1.dat', 'val/z/1.dat'], 'val/z: no such class in'),
        (['train/a/1.dat', 'train/b/1.dat', 'val/note.txt'], 'no data to validate on'),
    ],
)
def test_another_layout_is_named_with_the_one_expected(tmp_path, names, message):
    write(tmp_path, *names)
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match='no such folder') as caught:
        read(tmp_path / 'none')
    assert '/none/CLASS/*.dat' in str(caught.value)
