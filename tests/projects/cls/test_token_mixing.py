"""MixToken: the box, pasting and undoing, against arithmetic."""

import random

import pytest
import torch

from projects.cls.token_mixing import TokenMixer, kept_share, mixing_box, swap_box


@pytest.mark.parametrize(
    ('kept', 'centre', 'box'),
    [
        # side 56 sqrt(1/4) = 28, half 14
        (0.75, (28, 28), (14, 14, 42, 42)),
        (0.75, (0, 55), (0, 41, 14, 56)),  # clipped at two borders
        # side int(56 sqrt(0.5)) = 39, half rounded down to 19
        (0.5, (28, 28), (9, 9, 47, 47)),
        (0.0, (28, 28), (0, 0, 56, 56)),  # the whole map
        (1.0, (28, 28), (28, 28, 28, 28)),  # empty
    ],
)
def test_box_is_the_official_one(kept, centre, box):
    assert mixing_box(56, 56, kept, centre) == box


def test_box_has_the_shape_of_the_map():
    # 1 - 0.64 = 0.36, sides 0.6 of 40 x 20: 24 x 12
    assert mixing_box(40, 20, 0.64, (20, 10)) == (8, 4, 32, 16)


def test_box_holds_the_reversed_batch_and_the_rest_stays():
    x = torch.arange(3.0)[:, None, None, None].expand(3, 8, 8, 2).clone()
    mixed = swap_box(x, (1, 2, 4, 7))
    assert mixed[:, 1:4, 2:7, :].unique(dim=0)[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert mixed[0, 1:4, 2:7].eq(2).all()
    assert mixed[2, 1:4, 2:7].eq(0).all()
    assert (mixed[0] == 2).sum() == 3 * 5 * 2
    assert x[0].eq(0).all()  # the input stays as it is


def test_swapping_twice_changes_nothing():
    x = torch.rand(5, 7, 7, 3)
    assert swap_box(swap_box(x, (1, 0, 6, 5)), (1, 0, 6, 5)).equal(x)
    assert swap_box(x, (0, 0, 0, 0)).equal(x)


def test_share_is_what_lies_outside_the_box():
    # Box of 3 x 4 on 7 x 7 tokens
    assert kept_share((2, 3, 5, 7), 49) == pytest.approx(1 - 12 / 49)
    assert kept_share((0, 0, 0, 0), 49) == 1


def test_mixer_pastes_and_remembers_its_box_on_both_grids():
    mixer = TokenMixer()
    mixer.kept, mixer.centre = 0.75, (0.5, 0.5)
    x = torch.rand(2, 56, 56, 4)
    mixed = mixer(x)
    assert mixer.box == (14, 14, 42, 42)
    assert mixer.token_box == (1, 1, 5, 5)  # divided by 8, rounded down
    assert mixed.equal(swap_box(x, mixer.box))


def test_mixer_without_a_map_has_no_box():
    with pytest.raises(RuntimeError, match='not given to a backbone'):
        _ = TokenMixer().token_box


def test_mixers_follow_the_seed_and_differ():
    def draw():
        random.seed(3)
        return [(m.kept, m.centre) for m in (TokenMixer() for _ in range(400))]

    drawn = draw()
    assert drawn == draw()
    kept = torch.tensor([kept for kept, _ in drawn])
    # Beta(1, 1) is uniform: mean 1/2, deviation 12 ** -0.5 = 0.289
    assert kept.mean() == pytest.approx(0.5, abs=0.05)
    assert kept.std() == pytest.approx(0.289, abs=0.03)
    assert len({centre for _, centre in drawn}) == 400
