"""Which tokens are kept, what stands for the others, and the scores of both."""

import pytest
import torch
from torch.nn.functional import one_hot

from uniformer_backbones.layers.shrinking import (
    choose_tokens,
    count_kept,
    merge_dropped,
    pool_scores,
    put_tokens,
    take_tokens,
    update_scores,
)


def make_tokens(tokens=10, count=4):
    scores = torch.rand(2, tokens)
    return torch.randn(2, tokens, 3), scores, choose_tokens(scores, count)


@pytest.mark.parametrize(
    ('tokens', 'ratio', 'kept'),
    [(196, 0.5, 98), (49, 0.5, 24), (1, 0.5, 0), (2, 0.5, 1), (10, 0.7, 7), (9, 1, 9)],
)
def test_share_of_the_tokens_is_rounded_down(tokens, ratio, kept):
    assert count_kept(tokens, ratio) == int(tokens * ratio) == kept


def test_highest_scores_are_chosen_per_sample():
    scores = torch.tensor([[0.1, 0.5, 0.3], [0.9, 0.0, 0.2]])
    assert choose_tokens(scores, 2).tolist() == [[1, 2], [0, 2]]
    assert choose_tokens(scores, 0).shape == (2, 0)


def test_of_equal_scores_the_earlier_positions_are_chosen():
    scores = torch.ones(3, 4200)
    scores[:, 4000] = 2
    kept = choose_tokens(scores, 2100)
    assert kept.tolist() == [[4000, *range(2099)]] * 3


def test_taking_and_putting_are_gather_and_scatter():
    tokens, _, kept = make_tokens()
    index = kept.unsqueeze(-1).expand(-1, -1, 3)
    taken = take_tokens(tokens, kept)
    assert torch.equal(taken, tokens.gather(1, index))
    put = put_tokens(tokens, kept, -taken)
    assert torch.equal(put, tokens.scatter(1, index, -taken))
    assert torch.equal(put_tokens(tokens, kept, taken), tokens)


def test_nothing_is_written_in_place():
    tokens, scores, kept = make_tokens()
    before = [t._version for t in (tokens, scores, kept)]
    put_tokens(tokens, kept, take_tokens(tokens, kept))
    merge_dropped(tokens, scores, kept)
    update_scores(scores, scores, 0.5)
    pool_scores(scores, (2, 5))
    assert [t._version for t in (tokens, scores, kept)] == before


def test_representative_is_the_weighted_mean_of_the_dropped():
    tokens = torch.tensor([[[1.0], [10.0], [100.0], [1000.0]]])
    scores = torch.tensor([[0.4, 0.3, 0.1, 0.2]])
    merged = merge_dropped(tokens, scores, choose_tokens(scores, 2))
    # 100 with weight 0.1 / 0.3, 1000 with weight 0.2 / 0.3
    assert merged.item() == pytest.approx(100 / 3 + 2000 / 3)


def test_representative_of_scores_that_vanish_is_finite():
    tokens, scores, kept = make_tokens()
    scores.zero_().requires_grad_()
    merged = merge_dropped(tokens, scores, kept)
    assert torch.equal(merged, torch.zeros_like(merged))
    merged.sum().backward()
    assert scores.grad.isfinite().all()


def test_gradients_of_all_steps_agree_with_finite_differences():
    def run(tokens, scores):
        kept = choose_tokens(scores, 3)
        merged = merge_dropped(tokens, scores, kept)
        put = put_tokens(tokens, kept, take_tokens(tokens, kept) * merged)
        return put, pool_scores(scores, (3, 3))

    tokens = torch.randn(2, 9, 2, dtype=torch.float64, requires_grad=True)
    scores = torch.rand(2, 9, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(run, (tokens, scores))


def test_scores_are_a_running_mean_that_starts_with_the_first_attention():
    attention, scores = torch.rand(2, 5), torch.rand(2, 5)
    assert update_scores(None, attention, 0.5) is attention
    expected = 0.75 * scores + 0.25 * attention
    torch.testing.assert_close(update_scores(scores, attention, 0.25), expected)


@pytest.mark.parametrize('size', [(4, 6), (5, 7), (2, 4, 6), (3, 5, 7), (1, 2, 2)])
def test_pooled_scores_keep_their_sum_and_floor_odd_sides(size):
    *time, height, width = size
    scores = torch.rand(2, *size)
    pooled = pool_scores(scores.flatten(1), size)
    half = (*time, height // 2, width // 2)
    assert pooled.shape == (2, torch.Size(half).numel())
    torch.testing.assert_close(pooled.sum(1), scores.flatten(1).sum(1))
    # Means of 2x2 cells, up to the factor that keeps the sum.
    cut = scores[..., : 2 * half[-2], : 2 * half[-1]]
    cells = cut.unflatten(-1, (-1, 2)).unflatten(-3, (-1, 2)).mean((-1, -3)).flatten(1)
    ratio = pooled / cells
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))


def test_time_is_not_pooled():
    frame = one_hot(torch.tensor([5]), 16).float().view(1, 1, 4, 4)
    clip = torch.cat([frame, torch.zeros(1, 1, 4, 4)], dim=1)
    pooled = pool_scores(clip.flatten(1), (2, 4, 4)).view(2, 4)
    assert pooled.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]
