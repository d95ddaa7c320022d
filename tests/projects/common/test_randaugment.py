"""The timm grammar: strings, levels and tables by arithmetic."""

import numpy as np
import pytest

from projects.common.randaugment import TimmPolicy
from tests.randaugment_draws import NAMES, draw_many


def arguments(text, name, count=1500):
    return [s.args for steps in draw_many(text, count) for s in steps if s.name == name]


# The table of recipes.md, 2.4 ---------------------------------------------------------


def test_strings_mean_the_ops_magnitudes_and_lists_of_the_recipes():
    # text, m, n, mstd, increasing
    for text, m, n, mstd, increasing in (
        ('rand-m9-mstd0.5-inc1', 9, 2, 0.5, True),
        ('rand-m7-n4-mstd0.5-inc1', 7, 4, 0.5, True),
        ('rand-m5-n2-mstd0.25', 5, 2, 0.25, False),
        ('rand', 10, 2, 0, False),
    ):
        transform = TimmPolicy(text).transform
        assert transform.num_layers == n
        assert transform.choice_weights is None  # so drawn with replacement
        assert len(transform.ops) == 15
        names = [op.name for op in transform.ops]
        assert [name.removesuffix('Increasing') for name in names] == NAMES
        assert ('ColorIncreasing' in names) == increasing
        for op in transform.ops:
            assert (op.magnitude, op.magnitude_std, op.prob) == (m, mstd, 0.5)


def test_half_of_the_ops_fire_and_an_op_can_come_twice():
    draws = draw_many('rand-m7-n4-mstd0.5-inc1', 1500)
    lengths = np.bincount([len(steps) for steps in draws], minlength=5) / 1500
    assert lengths == pytest.approx([1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16], abs=0.05)
    assert any(
        len({step.name for step in steps}) < len(steps) for steps in draws if steps
    )


@pytest.mark.parametrize(
    ('name', 'increasing', 'plain'),
    [
        # At level 7, as (lowest, highest); two values where the sign is random.
        ('Rotate', (-21, 21), (-21, 21)),
        ('ShearX', (-0.21, 0.21), (-0.21, 0.21)),
        ('ShearY', (-0.21, 0.21), (-0.21, 0.21)),
        ('TranslateXRel', (-0.315, 0.315), (-0.315, 0.315)),
        ('TranslateYRel', (-0.315, 0.315), (-0.315, 0.315)),
        ('Color', (0.37, 1.63), (1.36,)),
        ('Contrast', (0.37, 1.63), (1.36,)),
        ('Brightness', (0.37, 1.63), (1.36,)),
        ('Sharpness', (0.37, 1.63), (1.36,)),
        ('Posterize', (4 - 2,), (2,)),  # int(4 * 0.7) = 2
        ('Solarize', (256 - 179,), (179,)),  # int(256 * 0.7) = 179
        ('SolarizeAdd', (77,), (77,)),  # 110 * 0.7
    ],
)
def test_levels_become_the_arguments_of_the_recipes(name, increasing, plain):
    for text, expected in (('rand-m7-inc1', increasing), ('rand-m7', plain)):
        values = {value for (value,) in arguments(text, name)}
        assert sorted(values) == pytest.approx(sorted(expected))


def test_enhancement_is_the_identity_at_level_five_of_the_plain_list():
    assert {value for (value,) in arguments('rand-m5', 'Color')} == {1.0}
    assert {value for (value,) in arguments('rand-m5', 'Posterize')} == {2}
    assert {value for (value,) in arguments('rand', 'Brightness')} == {1.8 + 0.1}
    assert {value for (value,) in arguments('rand', 'Solarize')} == {256}


def test_magnitude_is_normal_and_clipped_to_ten():
    angles = np.ravel(arguments('rand-m9-mstd0.5-inc1', 'Rotate', 12000))
    levels = np.abs(angles) / 3
    # N(9, 0.5) clipped at 10, two standard deviations above.
    assert levels.max() == 10
    assert np.mean(levels == 10) == pytest.approx(0.0228, abs=0.015)
    assert np.median(levels) == pytest.approx(9, abs=0.06)
    assert levels.std() == pytest.approx(0.5, abs=0.04)
    assert abs(np.sign(angles).mean()) < 0.12


def test_v0_is_the_list_of_25_pairs_with_plain_levels():
    recipe = (
        'Eq .8 1 + ShY .8 4; Col .4 9 + Eq .6 3; Col .4 1 + Rot .6 8; '
        'Sol .8 3 + Eq .4 7; Sol .4 2 + Sol .6 2; Col .2 0 + Eq .8 8; '
        'Eq .4 8 + SolAdd .8 3; ShX .2 9 + Rot .6 8; Col .6 1 + Eq 1 2; '
        'Inv .4 9 + Rot .6 0; Eq 1 9 + ShY .6 3; Col .4 7 + Eq .6 0; '
        'Post .4 6 + AutoC .4 7; Sol .6 8 + Col .6 9; Sol .2 4 + Rot .8 9; '
        'Rot 1 7 + TrYRel .8 9; ShX 0 0 + Sol .8 4; ShY .8 0 + Col .6 4; '
        'Col 1 0 + Rot .6 2; Eq .8 4 + Eq 0 8; Eq 1 4 + AutoC .6 2; '
        'ShY .4 7 + SolAdd .6 7; Post .8 2 + Sol .6 10; Sol .6 8 + Eq .6 1; '
        'Col .8 6 + Rot .4 5'
    )
    short = {
        'Eq': 'Equalize',
        'ShX': 'ShearX',
        'ShY': 'ShearY',
        'Col': 'Color',
        'Rot': 'Rotate',
        'Sol': 'Solarize',
        'SolAdd': 'SolarizeAdd',
        'Inv': 'Invert',
        'Post': 'Posterize',
        'AutoC': 'AutoContrast',
        'TrYRel': 'TranslateYRel',
    }
    expected = []
    for pair in recipe.split('; '):
        ops = [op.split() for op in pair.split(' + ')]
        expected.append([(short[name], float(p), int(m)) for name, p, m in ops])
    policy = TimmPolicy('v0').transform.policy
    found = [[(op.name, op.prob, op.magnitude) for op in pair] for pair in policy]
    assert found == expected


@pytest.mark.parametrize(
    'text',
    ['', 'rnd-m9', 'rand-m9-mstd', 'rand-x3', 'rand-m9.5', 'v1', 'v0-m3', 'augmix-m3'],
)
def test_what_timm_would_skip_or_refuse_is_named(text):
    with pytest.raises(ValueError, match='is not an augmentation'):
        TimmPolicy(text)


def test_unknown_interpolation_is_named():
    with pytest.raises(ValueError, match="got 'cubic'"):
        TimmPolicy('rand', interpolation='cubic')
