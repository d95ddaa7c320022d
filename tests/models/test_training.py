"""Freezing, BatchNorm, activation checkpointing and initial values."""

import copy

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tests.tiny import RELATIONS, TINY, make_dense, make_input
from uniformer_backbones import UniFormer
from uniformer_backbones.models import uniformer


def batch_norms(model):
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def statistics(model):
    return {k: v.clone() for k, v in model.named_buffers() if 'running' in k}


def train_step(model, x):
    """Gradients and running statistics after one step."""
    torch.manual_seed(3)
    model.zero_grad()
    sum(out.square().sum() for out in model(x)).backward()
    gradients = {k: p.grad for k, p in model.named_parameters()}
    return gradients, statistics(model)


def frozen_parts(stages):
    parts = ['patch_embed1.'] if stages >= 0 else []
    for stage in range(1, stages + 1):
        parts += [f'patch_embed{stage}.', f'blocks{stage}.']
    return tuple(parts)


@pytest.mark.parametrize('stages', [-1, 0, 1, 2, 4])
@pytest.mark.parametrize('conv_stem', [False, True], ids=['plain', 'conv_stem'])
def test_frozen_stages_do_not_learn_and_do_not_drop(ndim, stages, conv_stem):
    model = UniFormer(
        {**TINY, 'conv_stem': conv_stem},
        ndim,
        frozen_stages=stages,
        out_indices=(0, 3),
        out_norm='layer',
        drop_path_rate=0.5,
    )
    for _ in range(2):  # train() again must not thaw
        model.train()
    parts = frozen_parts(stages)
    for key, parameter in model.named_parameters():
        assert parameter.requires_grad != key.startswith(parts), key
    for name, module in model.named_modules():
        assert module.training != f'{name}.'.startswith(parts), name
    before = statistics(model)
    gradients, after = train_step(model, make_input(ndim))
    for key, gradient in gradients.items():
        assert (gradient is None) == key.startswith(parts), key
    for key in before:
        assert torch.equal(before[key], after[key]) == key.startswith(parts), key


def test_output_norm_of_a_frozen_stage_stays_trainable():
    model = UniFormer(TINY, frozen_stages=4).train()
    assert model.norm.training
    assert all(parameter.requires_grad for parameter in model.norm.parameters())


def test_norm_eval_keeps_every_batch_norm_in_eval_mode(ndim):
    model = UniFormer(TINY, ndim, norm_eval=True, drop_path_rate=0.5)
    for mode in (True, False, True):
        model.train(mode)
        assert not any(norm.training for norm in batch_norms(model))
        assert model.training is model.blocks2[0].mlp.training is mode
    before = statistics(model)
    gradients, after = train_step(model, make_input(ndim))
    assert all(torch.equal(before[key], after[key]) for key in before)
    # The scales and shifts still learn.
    assert gradients['blocks1.0.norm1.weight'].abs().sum() > 0
    plain = UniFormer(TINY, ndim).train()
    assert all(norm.training for norm in batch_norms(plain))


def test_norm_eval_survives_conversion_to_sync_batch_norm():
    model = UniFormer(TINY, norm_eval=True)
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model).train()
    assert len(batch_norms(model)) == 5
    assert not any(norm.training for norm in batch_norms(model))
    assert len(batch_norms(revert_sync_batchnorm(model))) == 5


@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
@pytest.mark.parametrize('norm_eval', [False, True])
def test_checkpointing_changes_no_number(ndim, attention, norm_eval):
    options = {'attention': attention, 'drop_path_rate': 0.2, 'norm_eval': norm_eval}
    model = make_dense(ndim, **options).train()
    saving = make_dense(ndim, **options, with_cp=True).train()
    saving.load_state_dict(model.state_dict())
    x = make_input(ndim)
    for _ in range(2):
        expected, got = train_step(model, x), train_step(saving, x)
        for ours, theirs in zip(got, expected, strict=True):
            assert ours.keys() == theirs.keys()
            for key in ours:
                torch.testing.assert_close(ours[key], theirs[key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ('with_cp', 'counts'),
    [
        (False, [0, 0, 0, 0]),
        (True, [1, 1, 4, 1]),
        ((0, 0, 3, 0), [0, 0, 3, 0]),
        ([1, 0, 99, 1], [1, 0, 4, 1]),
    ],
)
def test_with_cp_counts_leading_blocks_and_acts_in_training_only(
    monkeypatch, with_cp, counts
):
    seen = []

    def record(block, x):
        seen.append(block)
        return block(x)

    monkeypatch.setattr(uniformer, 'checkpoint_block', record)
    model = UniFormer(TINY, with_cp=with_cp)
    model.eval()(make_input())
    assert seen == []
    model.train()(make_input())
    expected = [
        block
        for stage, count in enumerate(counts, 1)
        for block in getattr(model, f'blocks{stage}')[:count]
    ]
    assert seen == expected


def test_linear_layers_start_from_a_truncated_normal_and_zero_biases(ndim):
    model = UniFormer('small', ndim)
    # Normal of 0.02, cut at +-2 absolute, so not cut at all: 4 deviations are common.
    weights = [m for m in model.modules() if type(m) is nn.Linear]
    assert len(weights) == 4 * (8 + 3)
    for linear in weights:
        assert linear.weight.std().item() == pytest.approx(0.02, rel=0.02)
        assert abs(linear.weight.mean().item()) < 2e-4
        assert linear.weight.abs().max() > 0.07
        assert linear.bias.abs().sum() == 0


def test_norms_start_at_one_and_convolutions_as_pytorch_makes_them(ndim):
    model = UniFormer('small', ndim)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm | _BatchNorm):
            assert (module.weight == 1).all()
            assert (module.bias == 0).all()
    # Kaiming uniform: +-1/sqrt(fan in), for weight and bias; 320 channels, 3^n kernel.
    bound = 3 ** (-ndim / 2)
    for values in (model.blocks3[0].pos_embed.weight, model.blocks3[0].pos_embed.bias):
        assert 0.9 * bound < values.abs().max() <= bound
    embedding = model.patch_embed3.proj.weight
    bound = embedding[0].numel() ** -0.5
    assert 0.9 * bound < embedding.abs().max() <= bound


def test_temporal_attention_starts_silent():
    model = UniFormer(TINY, 3, attention='divided')
    for block in [*model.blocks3, *model.blocks4]:
        assert (block.t_attn.qkv.weight == 0).all()
        assert (block.t_attn.qkv.bias == 0).all()
        assert (block.t_attn.proj.weight == 1).all()
        assert (block.t_attn.proj.bias == 0).all()
        assert block.attn.qkv.weight.std() > 0


def test_same_seed_gives_the_same_model(ndim):
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(UniFormer(TINY, ndim).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_training_lowers_a_loss(ndim):
    model = make_dense(ndim, attention='hybrid', drop_path_rate=0.1).train()
    target = copy.deepcopy(model).eval()(make_input(ndim))[3].detach().roll(1, 1)
    optimiser, x, losses = (
        torch.optim.AdamW(model.parameters(), 3e-3),
        make_input(ndim),
        [],
    )
    for _ in range(12):
        loss = (model(x)[3] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
