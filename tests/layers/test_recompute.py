"""Activation checkpointing changes memory and nothing else."""

import copy

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from tests.tiny import randomise
from uniformer_backbones.layers.block import GlobalBlock, LocalBlock
from uniformer_backbones.layers.recompute import checkpoint_block
from uniformer_backbones.layers.relation import GlobalMHRA

SIZES = {2: (6, 7), 3: (3, 6, 7)}


def make_block(kind, ndim):
    if kind == 'local':
        return randomise(LocalBlock(8, ndim, 16, drop=0.2, drop_path=0.3)).train()
    attn = GlobalMHRA(8, 4, attn_drop=0.2)
    return randomise(GlobalBlock(8, ndim, 16, attn, drop_path=0.3)).train()


def step(block, x, run):
    """One training step: output, gradients, running statistics."""
    torch.manual_seed(7)
    x = x.clone().requires_grad_()
    out = run(block, x)
    out.square().sum().backward()
    gradients = [x.grad, *(parameter.grad for parameter in block.parameters())]
    return [out.detach(), *gradients, *block.buffers()]


@pytest.mark.parametrize('kind', ['local', 'global'])
def test_gradients_and_running_statistics_are_those_without(kind, ndim):
    block = make_block(kind, ndim)
    other, x = copy.deepcopy(block), torch.randn(4, *SIZES[ndim], 8)
    for _ in range(2):
        expected = step(block, x, lambda block, x: block(x))
        got = step(other, x, checkpoint_block)
        for ours, theirs in zip(got, expected, strict=True):
            torch.testing.assert_close(ours, theirs)
    if kind == 'local':
        assert other.norm1.num_batches_tracked == 2
        assert other.norm1.momentum == 0.1


def test_recomputation_in_eval_mode_uses_the_running_statistics(ndim):
    block = make_block('local', ndim).eval()
    x = torch.randn(2, *SIZES[ndim], 8)
    expected = step(copy.deepcopy(block), x, lambda block, x: block(x))
    for ours, theirs in zip(step(block, x, checkpoint_block), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_frozen_statistics_beside_trained_ones_are_kept_apart(ndim):
    block = make_block('local', ndim)
    block.norm1.eval()
    x = torch.randn(2, *SIZES[ndim], 8)
    expected = step(copy.deepcopy(block), x, lambda block, x: block(x))
    for ours, theirs in zip(step(block, x, checkpoint_block), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('kind', ['local', 'global'])
def test_activations_are_not_kept(kind):
    block, counts = make_block(kind, 2), []
    x = torch.randn(2, 6, 7, 8, requires_grad=True)
    for run in (lambda block, x: block(x), checkpoint_block):
        kept = []

        def keep(tensor, kept=kept):
            kept.append(tensor.numel())
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            run(block, x)
        counts.append(sum(kept))
    assert counts[1] < counts[0] / 5
