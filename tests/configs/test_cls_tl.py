"""Every token-labeling leaf: what its name says, and the released recipe.

Expected values: recipes of the official release (token_labeling/README.md and its run
scripts) and the published figures of ``tests/data/zoo_figures.json``.
"""

import json
import math
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, PARAM_SCHEDULERS, init_default_scope

import projects.cls  # noqa: F401 - registers what the configs name
from projects.common.complexity import measure

ROOT = Path(__file__).resolve().parents[2]
ROWS = {
    row['id'].removeprefix('cls-'): row
    for row in json.loads((ROOT / 'tests/data/zoo_figures.json').read_text())['rows']
    if re.fullmatch(r'cls-\w+_tl(_384)?', row['id'])
}
LEAVES = sorted(path.stem for path in (ROOT / 'configs/cls').glob('*_tl*.py'))
# arch; channels of an attention head; drop path; rate
OFFICIAL = {
    's': ('small', 32, 0.1, 1.6e-3),
    's_dim64': ('small', 64, 0.1, 1.6e-3),
    's_plus': ('small_plus', 32, 0.1, 1.6e-3),
    's_plus_dim64': ('small_plus', 64, 0.1, 1.6e-3),
    'b': ('base', 32, 0.3, 1.6e-3),
    'b_dim64': ('base', 64, 0.3, 1.6e-3),
    'l_ls': ('large_ls', 64, 0.4, 1.2e-3),
}
DROP_PATH_384 = {'l_ls': 0.3}
# Parameters of the official models (num_parameters of their fixtures).
PARAMETERS = {'s': 22_058_256, 'l_ls': 100_103_888}


def read(name):
    init_default_scope('mmpretrain')
    return Config.fromfile(ROOT / f'configs/cls/{name}.py')


def split(name):
    letter, fine = re.fullmatch(r'uniformer_(\w+?)_tl(_384)?', name).groups()
    return letter, fine is not None


def test_there_is_one_leaf_per_published_row():
    assert set(LEAVES) == set(ROWS)
    assert len(LEAVES) == 11


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_is_small_and_follows_the_recipe(name):
    assert len((ROOT / f'configs/cls/{name}.py').read_text().splitlines()) <= 30
    cfg, (letter, fine) = read(name), split(name)
    arch, head_dim, drop_path, lr = OFFICIAL[letter]
    backbone = cfg.model.backbone
    assert (backbone.arch, backbone.head_dim) == (arch, head_dim)
    rate = DROP_PATH_384.get(letter, drop_path) if fine else drop_path
    assert backbone.drop_path_rate == rate
    optimizer = cfg.optim_wrapper.optimizer
    assert optimizer.lr == (5e-6 if fine else lr)
    assert optimizer.weight_decay == (1e-8 if fine else 0.05)
    assert (optimizer.type, optimizer.betas) == ('AdamW', (0.9, 0.999))
    assert 'clip_grad' not in cfg.optim_wrapper
    assert cfg.train_cfg.max_epochs == (50 + 10 if fine else 300 + 10)
    batch = 128 if not fine else 32 if letter == 'l_ls' else 64
    assert cfg.train_dataloader.batch_size == batch
    assert cfg.auto_scale_lr.base_batch_size == 8 * batch
    assert cfg.train_dataloader.sampler == {'type': 'DefaultSampler', 'shuffle': True}
    assert cfg.randomness.seed == 42


@pytest.mark.parametrize('name', LEAVES)
def test_pipelines_follow_the_recipe(name):
    cfg, (_, fine) = read(name), split(name)
    size = 384 if fine else 224
    train = cfg.train_dataloader.dataset.pipeline
    assert [step.type for step in train] == [
        'LoadImageFromFile',
        'LoadLabelMap',
        'TokenFlip',  # flip, RandAugment, then the crop, last
        'TimmImageAugment',
        'TokenCrop',
        'PackInputs',
    ]
    assert train[2].prob == 0.5
    assert train[3].policy == 'rand-m9-mstd0.5-inc1'
    assert train[3].interpolation == train[4].interpolation == 'random'
    assert train[4].scale == size
    assert train[4].crop_ratio_range == (0.08, 1.0)
    test = cfg.test_dataloader.dataset.pipeline
    assert cfg.val_dataloader.dataset.pipeline == test
    # the size divided by 0.9, rounded down
    assert test[1].scale == (426 if fine else 248)
    assert (test[1].interpolation, test[2].crop_size) == ('bicubic', size)
    preprocessor = cfg.model.data_preprocessor
    assert preprocessor.mixing is None
    assert preprocessor.erasing.probability == 0.25
    assert preprocessor.mean == preprocessor.std == [127.5] * 3


@pytest.mark.parametrize('name', LEAVES)
def test_average_of_the_weights_is_evaluated_or_absent(name):
    cfg, (_, fine) = read(name), split(name)
    if fine:
        assert cfg.custom_hooks == []
        return
    (hook,) = cfg.custom_hooks
    assert hook.momentum == pytest.approx(8e-5)
    assert hook.update_buffers
    assert (hook.evaluate_on_ema, hook.evaluate_on_origin) == (True, False)


@pytest.mark.parametrize('name', LEAVES)
def test_fine_tuning_starts_from_the_whole_model_of_224(name):
    cfg, (letter, fine) = read(name), split(name)
    if not fine:
        assert cfg.model.get('init_cfg') is None
        return
    arch = OFFICIAL[letter][0]
    file = f'checkpoints/uniformer_{arch}_tl_224.pth'
    assert cfg.model.init_cfg == {'type': 'Pretrained', 'checkpoint': file}


def rates(cfg, epochs):
    """Rate in each epoch, as a Runner sets it."""
    parameter = torch.nn.Parameter(torch.zeros(1))
    lr = cfg.optim_wrapper.optimizer.lr
    optimizer = OptimWrapper(torch.optim.SGD([parameter], lr=lr))
    schedulers = [
        PARAM_SCHEDULERS.build(dict(scheduler), default_args={'optimizer': optimizer})
        for scheduler in cfg.param_scheduler
    ]
    found = []
    for _ in range(epochs):
        found.append(optimizer.get_lr()['lr'][0])
        optimizer.optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


@pytest.mark.parametrize(('name', 'lr'), [('s', 1.6e-3), ('l_ls', 1.2e-3)])
def test_rate_warms_up_falls_as_a_cosine_and_cools_down(name, lr):
    found = rates(read(f'uniformer_{name}_tl'), 310)

    def cosine(epoch):
        return 1e-5 + (lr - 1e-5) * (1 + math.cos(math.pi * epoch / 300)) / 2

    for epoch in range(5):  # no lag: epoch 1 is already a fifth of the way
        assert found[epoch] == pytest.approx(1e-6 + (lr - 1e-6) * epoch / 5)
    for epoch in (5, 6, 75, 150, 299):
        assert found[epoch] == pytest.approx(cosine(epoch))
    assert found[300:] == pytest.approx([1e-5] * 10)


def test_rate_of_fine_tuning_is_constant():
    assert rates(read('uniformer_b_tl_384'), 60) == [5e-6] * 60


@pytest.fixture(scope='module')
def large():
    cfg = read('uniformer_l_ls_tl')
    with torch.device('meta'):
        return cfg, MODELS.build(cfg.model)


def test_1d_parameters_are_free_of_decay_and_4d_layer_scales_are_not(large):
    cfg, model = large
    wrapper = dict(cfg.optim_wrapper, type='OptimWrapper')
    wrapper['optimizer'] = dict(wrapper['optimizer'])
    groups = build_optim_wrapper(model, wrapper).optimizer.param_groups
    names = {id(p): name for name, p in model.named_parameters()}
    decay = {
        names[id(p)]: group['weight_decay'] for group in groups for p in group['params']
    }
    assert decay.keys() == set(names.values())
    for name, p in model.named_parameters():
        assert decay[name] == (0.0 if p.dim() == 1 else 0.05), name
    assert decay['backbone.blocks1.0.gamma_1'] == 0.05  # (1, C, 1, 1)
    assert decay['backbone.blocks3.0.gamma_1'] == 0.0
    assert decay['backbone.blocks3.0.pos_embed.weight'] == 0.05
    assert decay['head.aux_head.bias'] == 0.0


def agrees(value, published, tolerance):
    """Within the tolerance, or equal to the published figure's last digit."""
    digits = len(str(published).partition('.')[2])
    return abs(value - published) <= max(tolerance * published, 0.5 * 10**-digits)


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_has_the_published_size_and_cost(name):
    row, (letter, _) = ROWS[name], split(name)
    cfg = read(name)
    found = measure(cfg, row['size'])
    width = cfg.model.head.in_channels
    extra = (width + 1) * 1000  # the published figures are without the auxiliary head
    assert agrees((found.params - extra) / 1e6, row['params_M'], 0.01)
    if letter in PARAMETERS:
        assert found.params == PARAMETERS[letter]
    if 'deviation' not in row:  # L: explained in zoo_figures.json
        assert agrees(found.flops / 1e9, row['flops_G'], 0.02)
    tokens = (row['size'][0] // 32) ** 2
    (head,) = (part.flops for part in found.parts if part.name == 'head')
    assert head == (tokens + 1) * width * 1000
