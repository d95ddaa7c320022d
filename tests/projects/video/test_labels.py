"""Class lists: sizes, known places, and the way between two orders."""

from pathlib import Path

import pytest
from torchvision.models.video import R3D_18_Weights

from projects.common.errors import UserError
from projects.video.labels import DATASETS, class_names, label_map, normalized

SIZES = dict(k400=400, k600=600, sthv1=174, sthv2=174, ucf101=101, hmdb51=51)


@pytest.mark.parametrize('name', DATASETS)
def test_lists_have_distinct_names(name):
    names = class_names(name)
    assert len(names) == len({normalized(n) for n in names}) == SIZES[name]
    assert all(n == n.strip() and n for n in names)


@pytest.mark.parametrize(
    ('name', 'places'),
    [
        # The release's own category files.
        (
            'k400',
            {
                0: 'riding a bike',
                1: 'marching',
                2: 'dodgeball',
                399: 'playing badminton',
            },
        ),
        ('k600', {0: 'feeding fish', 66: 'arm wrestling', 599: 'playing organ'}),
        (
            'k600',
            {1: 'poking bellybutton', 246: 'curling (sport)', 412: 'fencing (sport)'},
        ),
        ('sthv1', {0: 'Approaching something with your camera'}),
        ('sthv2', {173: '[Something] falling like a rock'}),
        (
            'ucf101',
            {0: 'ApplyEyeMakeup', 34: 'Hammering', 35: 'HammerThrow', 100: 'YoYo'},
        ),
        ('hmdb51', {0: 'brush_hair', 34: 'shoot_ball', 50: 'wave'}),
        ('k400_alphabetical', {0: 'abseiling', 6: 'arm wrestling', 399: 'zumba'}),
    ],
)
def test_known_places(name, places):
    assert {place: class_names(name)[place] for place in places} == places


def test_alphabetical_kinetics_400_is_the_list_others_use():
    others = R3D_18_Weights.KINETICS400_V1.meta['categories']
    assert list(class_names('k400_alphabetical')) == others


def test_something_lists_say_the_same_but_for_brackets():
    v1, v2 = (sorted(map(normalized, class_names(n))) for n in ('sthv1', 'sthv2'))
    assert v1 == v2
    assert list(class_names('sthv1')) == sorted(class_names('sthv1'))


@pytest.mark.parametrize('name', ['k400', 'k600'])
def test_map_to_the_alphabet_and_back_is_the_identity(name):
    there = label_map(name, f'{name}_alphabetical')
    back = label_map(f'{name}_alphabetical', name)
    assert [back[i] for i in there] == list(range(SIZES[name]))
    assert there != tuple(range(SIZES[name]))
    names, ordered = class_names(name), class_names(f'{name}_alphabetical')
    assert all(ordered[there[i]] == names[i] for i in range(SIZES[name]))


def test_kinetics_600_holds_most_of_kinetics_400():
    shared = set(map(normalized, class_names('k400'))) & set(
        map(normalized, class_names('k600'))
    )
    assert len(shared) == 369  # 367 in the release's first list, 2 spelt in the second


def test_unknown_list_and_lost_class_get_one_line(tmp_path):
    with pytest.raises(UserError, match='no such list'):
        class_names('k700')
    own = tmp_path / 'own.txt'
    own.write_text('juggling\nflying\n')
    assert class_names(str(own)) == ('juggling', 'flying')
    other = tmp_path / 'other.txt'  # as an editor on Windows leaves it
    other.write_text('juggling\n\nflying\n \n', encoding='utf-8-sig')
    assert class_names(str(other)) == ('juggling', 'flying')
    with pytest.raises(UserError, match=r"lacks 2 of the 2 classes .* 'juggling'"):
        label_map(str(own), 'k400')


def test_real_label_file_is_the_alphabetical_order():
    path = Path(__file__).resolve().parents[4] / 'shared/data/real/video'
    if not path.is_dir():
        pytest.skip('needs the real files')
    lines = (path / 'label_map_k400.txt').read_text().splitlines()
    assert tuple(lines) == class_names('k400_alphabetical')
