"""Skeletons read from COCO categories, and what is assumed where they say little."""

import pytest

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import UserError
from projects.common.world.figure import KEYPOINTS
from projects.common.world.people import SKELETON
from projects.pose.skeleton import (
    SIGMA,
    Skeleton,
    coco_skeleton,
    mirror_pairs,
    read_skeleton,
)

# pycocotools, Params.setKpParams: ten times the sigmas of COCO's keypoints.
COCO_SIGMAS = [
    *(0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72),
    *(0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89),
]
FISH = {
    'id': 3,
    'name': 'fish',
    'keypoints': ['mouth', 'left_eye', 'right_eye', 'tail'],
    'skeleton': [[1, 2], [1, 3], [1, 4]],
}


def test_the_skeleton_of_coco_is_the_published_one():
    coco = coco_skeleton()
    assert coco.keypoints == KEYPOINTS
    assert [10 * sigma for sigma in coco.sigmas] == pytest.approx(COCO_SIGMAS)
    assert coco.flip_pairs == tuple((i, i + 1) for i in range(1, 17, 2))
    wanted = {frozenset((a - 1, b - 1)) for a, b in SKELETON}
    assert {frozenset(link) for link in coco.links} == wanted
    assert coco.upper == tuple(range(11))
    assert coco.lower == tuple(range(11, 17))


@pytest.mark.parametrize(
    'pair',
    [
        ('left_eye', 'right_eye'),
        ('L_Eye', 'R_Eye'),
        ('eye.r', 'eye.l'),
        ('EarLeft', 'EarRight'),
        ('righteye', 'lefteye'),
        ('Front Left Paw', 'Front Right Paw'),
        ('left_toe_2', 'right_toe_2'),
    ],
)
def test_names_tell_mirror_images(pair):
    assert mirror_pairs(('nose', *pair, 'tail')) == ((1, 2),)


def test_names_that_merely_look_alike_are_no_pairs():
    assert mirror_pairs(['l_eye', 'l_ear', 'left_paw', 'tail', 'lr', 'rl']) == ()


@pytest.mark.parametrize(
    ('names', 'pairs'),
    [
        (['left_œil', 'right_œil', 'left_été', 'right_été'], ((0, 1), (2, 3))),
        (['眼_left', '耳_left', '眼_right', '耳_right'], ((0, 2), (1, 3))),
        (['ÉcoleL', 'ÉcoleR'], ((0, 1),)),
        # Two that read alike: which of them is the mirror image is not told.
        (['left_eye', 'right_eye', 'Left-Eye'], ()),
        (['left x+', 'left x-', 'right x+', 'right x-'], ()),
        (['lshoulder', 'rshoulder'], ()),  # as could be any l and r
    ],
)
def test_names_of_any_script_are_told_apart(names, pairs):
    assert mirror_pairs(names) == pairs


def test_a_full_category_is_taken_as_it_says():
    full = {**FISH, 'flip_pairs': [['left_eye', 'right_eye']], 'sigmas': [0.1] * 4}
    skeleton, notes = read_skeleton(full, 'fish.json')
    assert skeleton == Skeleton(
        keypoints=('mouth', 'left_eye', 'right_eye', 'tail'),
        links=((0, 1), (0, 2), (0, 3)),
        flip_pairs=((1, 2),),
        sigmas=(0.1,) * 4,
    )
    assert notes == ('a mirror image exchanges left_eye and right_eye',)
    numbered = {**full, 'flip_pairs': [[2, 3]]}
    assert read_skeleton(numbered, 'fish.json')[0] == skeleton


def test_what_a_category_does_not_say_is_assumed_aloud():
    bare = {'name': 'fish', 'keypoints': FISH['keypoints']}
    skeleton, notes = read_skeleton(bare, 'fish.json')
    assert skeleton.links == ()
    assert skeleton.flip_pairs == ((1, 2),)
    assert skeleton.sigmas == (SIGMA,) * 4
    text = ' '.join(notes)
    for word in ('no skeleton', 'left_eye and right_eye', 'no sigmas: 0.05'):
        assert word in text
    blob = {'name': 'blob', 'keypoints': ['a', 'b']}
    assert 'exchanges nothing' in ' '.join(read_skeleton(blob, 'x')[1])


def test_the_keypoints_of_coco_bring_all_of_its_skeleton():
    person = {'name': 'person', 'keypoints': list(KEYPOINTS)}
    skeleton, notes = read_skeleton(person, 'x.json')
    assert skeleton == coco_skeleton()
    assert 'no sigmas: those of COCO are used' in notes


def test_links_that_count_from_zero_are_noticed():
    zero = {**FISH, 'skeleton': [[0, 1], [0, 3]]}
    skeleton, notes = read_skeleton(zero, 'fish.json')
    assert skeleton.links == ((0, 1), (0, 3))
    assert any('from 0' in note for note in notes)


EYES = ((1, 2),)


@pytest.mark.parametrize(
    ('flips', 'links', 'read_flips', 'read_links'),
    [
        ([[2, 3]], [[1, 4]], EYES, ((0, 3),)),
        # Names tell that flip_pairs count from 0, the 4th of 4 that links do not.
        ([[1, 2]], [[1, 4]], EYES, ((0, 3),)),
        ([[1, 2]], [[1, 2], [0, 3]], EYES, ((1, 2), (0, 3))),
        ([[2, 3]], [[1, 2], [0, 3]], EYES, ((1, 2), (0, 3))),
        # Where names do not tell, the 0 of the other list does.
        ([[2, 3]], [[1, 2]], EYES, ((0, 1),)),
        ([[1, 3]], [[0, 1]], ((1, 3),), ((0, 1),)),
        ([[0, 3]], [[1, 2]], ((0, 3),), ((1, 2),)),
        ([[1, 3]], [[1, 4]], ((0, 2),), ((0, 3),)),
        ([[1, 3]], [], ((0, 2),), ()),
    ],
)
def test_pairs_count_from_0_or_1(flips, links, read_flips, read_links):
    fish = {**FISH, 'flip_pairs': flips, 'skeleton': links}
    skeleton, _ = read_skeleton(fish, 'fish.json')
    assert skeleton.flip_pairs == read_flips
    assert skeleton.links == read_links


def test_flip_pairs_of_coco_that_count_from_0_are_noticed_and_named():
    pairs = [[i, i + 1] for i in range(1, 17, 2)]
    person = {'keypoints': list(KEYPOINTS), 'flip_pairs': pairs}
    person['skeleton'] = [list(link) for link in SKELETON]  # from 1, as COCO's
    skeleton, notes = read_skeleton(person, 'x.json')
    assert skeleton.flip_pairs == coco_skeleton().flip_pairs
    wanted = {frozenset((a - 1, b - 1)) for a, b in SKELETON}
    assert {frozenset(link) for link in skeleton.links} == wanted
    assert 'flip_pairs counts keypoints from 0' in notes
    assert any('exchanges left_eye and right_eye, left_ear and r' in n for n in notes)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'keypoints': None}, 'no "keypoints"'),
        ({'keypoints': []}, 'no "keypoints"'),
        ({'keypoints': ['a', 'a', 'b', 'c']}, "two keypoints are called 'a'"),
        ({'skeleton': [[1, 5]]}, 'skeleton names keypoint 5; there are 4'),
        ({'skeleton': [[1, 2, 3]]}, 'skeleton must be a list of pairs'),
        ({'flip_pairs': [['eye', 'tail']]}, "flip_pairs names keypoint 'eye'"),
        ({'flip_pairs': 3}, 'flip_pairs must be a list of pairs'),
        ({'flip_pairs': [[2, None]]}, 'flip_pairs names keypoint None'),
        ({'flip_pairs': [[2, 3], [3, 4]]}, "flip_pairs use keypoint 'right_eye' twice"),
        ({'flip_pairs': [[2, 2]]}, "flip_pairs use keypoint 'left_eye' twice"),
        ({'sigmas': 0.1}, 'sigmas must be 4 positive numbers'),
        ({'sigmas': ['0.1'] * 4}, 'sigmas must be 4 positive numbers'),
        ({'sigmas': [0.1, 0.1]}, 'sigmas must be 4 positive numbers'),
        ({'sigmas': [0.1, 0.1, 0, 0.1]}, 'sigmas must be 4 positive numbers'),
    ],
)
def test_entries_that_do_not_fit_are_one_line(change, message):
    with pytest.raises(UserError, match=message) as caught:
        read_skeleton({**FISH, **change}, 'fish.json: category 3')
    assert str(caught.value).startswith('fish.json: category 3')
    assert '\n' not in str(caught.value)


def test_mmpose_understands_it():
    from projects.pose.datasets import KeypointDataset

    skeleton, _ = read_skeleton(FISH, 'fish.json')
    assert Skeleton(**skeleton.to_config()).to_mmpose() == skeleton.to_mmpose()
    dataset = KeypointDataset(metainfo=skeleton.to_config(), lazy_init=True)
    meta = dataset.metainfo
    assert meta['flip_indices'] == [0, 2, 1, 3]
    assert meta['skeleton_links'] == [(0, 1), (0, 2), (0, 3)]
    assert meta['keypoint_id2name'][3] == 'tail'
    assert meta['sigmas'].tolist() == pytest.approx([SIGMA] * 4)
    coco = KeypointDataset(lazy_init=True).metainfo
    assert coco['num_keypoints'] == 17
    own = KeypointDataset(metainfo=coco_skeleton().to_config(), lazy_init=True).metainfo
    for key in ('flip_indices', 'upper_body_ids', 'lower_body_ids', 'skeleton_links'):
        assert own[key] == coco[key]
