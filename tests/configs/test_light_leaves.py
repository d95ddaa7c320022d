"""Every leaf of the hourglass models: its name agrees with its content and its recipe.

Expected values: scripts, experiment files and configs of the official release.
"""

import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope

ROOT = Path(__file__).resolve().parents[2]
LEAVES = {path.stem: path for path in (ROOT / 'configs').glob('*/*uniformer_x*.py')}
DIMS = {'xxs': (56, 112, 224, 448), 'xs': (64, 128, 256, 512)}
DEPTHS = {'xxs': (2, 5, 8, 2), 'xs': (3, 5, 9, 3)}
HEAD_DIM = {'xxs': 28, 'xs': 32}
CLS = {
    'uniformer_xxs_128': (128, 146),
    'uniformer_xxs_160': (160, 182),
    'uniformer_xxs_192': (192, 219),
    'uniformer_xxs': (224, 256),
    'uniformer_xs_192': (192, 219),
    'uniformer_xs': (224, 256),
}
FEW, SOME = 'rand', 'rand-m5-n2-mstd0.25'
MUCH = 'rand-m7-n4-mstd0.5-inc1'
# rate, decay, drop path, augmentation, layer scale, GPUs of the release
VIDEO = {
    'uniformer_xxs_u4_128_k400': (4e-4, 0.1, 0.05, FEW, True, 8),
    'uniformer_xxs_u4_160_k400': (4e-4, 0.1, 0.05, FEW, True, 4),
    'uniformer_xxs_u8_128_k400': (4e-4, 0.1, 0.05, FEW, True, 4),
    'uniformer_xxs_u8_160_k400': (4e-4, 0.1, 0.05, SOME, False, 4),
    'uniformer_xxs_u16_128_k400': (8e-4, 0.1, 0.05, SOME, False, 8),
    'uniformer_xxs_u16_160_k400': (8e-4, 0.1, 0.05, SOME, False, 8),
    'uniformer_xxs_u32_160_k400': (8e-4, 0.1, 0.05, SOME, False, 8),
    'uniformer_xs_u32_192_k400': (4e-4, 0.05, 0.1, MUCH, False, 8),
}
# drop path of Mask R-CNN 1x and of Semantic FPN 80k
DENSE = {
    'mask_rcnn_uniformer_xxs': 0.0,
    'mask_rcnn_uniformer_xs': 0.15,
    'fpn_uniformer_xxs': 0.0,
    'fpn_uniformer_xs': 0.1,
}


def read(name):
    cfg = Config.fromfile(LEAVES[name])
    init_default_scope(cfg.default_scope)
    return cfg


def arch_of(name):
    return re.search(r'_(xx?s)', name)[1]


def steps_of(pipeline):
    return {step['type']: step for step in pipeline}


def test_there_is_one_leaf_per_published_row():
    assert set(LEAVES) == {*CLS, *VIDEO, *DENSE}


@pytest.mark.parametrize('name', sorted(LEAVES))
def test_the_backbone_is_the_hourglass_of_its_name(name):
    assert len(LEAVES[name].read_text().splitlines()) <= 35
    cfg, arch = read(name), arch_of(name)
    assert cfg.optim_wrapper.type == 'OptimWrapper'  # float32, unlike the larger ones
    clipped = {'max_norm': 20} if name in VIDEO else None
    assert cfg.optim_wrapper.get('clip_grad') == clipped
    settings = cfg.model.backbone.copy()
    settings.update(init_cfg=None)
    backbone = MODELS.build(settings)
    assert backbone.arch.embed_dims == DIMS[arch]
    assert backbone.arch.depths == DEPTHS[arch]
    assert backbone.blocks3[0].attn.num_heads * HEAD_DIM[arch] == DIMS[arch][2]
    assert backbone.blocks3[0].mlp.fc1.out_features == 3 * DIMS[arch][2]
    assert backbone.checkpointed == (0, 0, 0, 0)
    blocks = [*backbone.blocks3, *backbone.blocks4]
    ratios = [getattr(block, 'keep_ratio', 1) for block in blocks]
    assert ratios == [1] + [0.5] * (len(blocks) - 1)
    assert {block.trade_off for block in blocks} == {0.5}
    widths = cfg.model.get('neck') and cfg.model.neck.in_channels
    assert widths in (None, list(DIMS[arch]))


@pytest.mark.parametrize('name', CLS)
def test_classification_follows_its_script(name):
    cfg, arch, (side, short) = read(name), arch_of(name), CLS[name]
    assert cfg.model.backbone.drop_path_rate == (0.1 if arch == 'xs' else 0)
    head = MODELS.build(cfg.model.head)
    assert head.head_cls.in_features == head.fc.in_features == DIMS[arch][3]
    train = steps_of(cfg.train_dataloader.dataset.pipeline)
    assert train['RandomResizedCrop'].scale == side
    policy = 'rand-m9-mstd0.5-inc1' if arch == 'xs' else 'v0'
    assert train['TimmImageAugment'].policy == policy
    test = steps_of(cfg.test_dataloader.dataset.pipeline)
    assert (test['ResizeEdge'].scale, test['CenterCrop'].crop_size) == (short, side)
    assert cfg.train_dataloader.batch_size == 512
    assert cfg.train_dataloader.sampler.type == 'DefaultSampler'  # no repeats
    assert cfg.auto_scale_lr.base_batch_size == 4096
    optimizer = cfg.optim_wrapper.optimizer
    expected = (4e-3, 0.05) if arch == 'xs' else (3.2e-3, 0.1)
    assert (optimizer.lr, optimizer.weight_decay) == pytest.approx(expected)
    [scheduler] = cfg.param_scheduler
    assert (scheduler.total, scheduler.warmup, scheduler.eta_min) == (600, 30, 1e-5)
    assert cfg.train_cfg.max_epochs == 600
    [ema] = cfg.custom_hooks
    assert (ema.evaluate_on_ema, ema.evaluate_on_origin) == (True, True)
    assert ema.momentum == pytest.approx(1e-4)


@pytest.mark.parametrize('name', VIDEO)
def test_video_follows_its_experiment_file(name):
    cfg, arch = read(name), arch_of(name)
    rate, decay, drop_path, policy, scaled, gpus = VIDEO[name]
    frames, side = map(int, re.search(r'_u(\d+)_(\d+)_', name).groups())
    backbone = cfg.model.backbone
    assert backbone.drop_path_rate == drop_path
    expected = ('all', 0.1) if scaled else ('none', None)
    scale = backbone.get('layer_scale', 'none'), backbone.get('layer_scale_init')
    assert scale == expected
    weights = f'checkpoints/uniformer_{arch}_{side}_in1k.pth'
    assert backbone.init_cfg.checkpoint == weights
    assert backbone.init_cfg.get('new_layer_scale', False) == scaled
    head = MODELS.build(cfg.model.cls_head)
    assert head.head_cls.in_features == DIMS[arch][3]
    assert head.head_cls.out_features == 400
    for split in ('train', 'val', 'test'):
        dataset = cfg[f'{split}_dataloader'].dataset
        assert dataset.sample.type == 'SegmentSample'
        assert dataset.sample.clip_len == frames
    train = cfg.train_dataloader
    steps = steps_of(train.dataset.pipeline)
    assert steps['Resize'].scale == (side, side)
    assert steps['TimmRandAugment'].policy == policy
    assert 'Flip' in steps
    test = steps_of(cfg.test_dataloader.dataset.pipeline)
    assert (test['Resize'].scale, test['CenterCrop'].crop_size) == ((-1, side), side)
    total = 128 if arch == 'xs' else 256
    assert train.batch_size * gpus == cfg.auto_scale_lr.base_batch_size == total
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (rate, decay)
    assert (cfg.train_cfg.max_epochs, cfg.train_cfg.val_interval) == (110, 1)
    assert cfg.param_scheduler.warmup == 10


@pytest.mark.parametrize('name', DENSE)
def test_dense_leaves_differ_from_those_of_s_in_the_backbone_alone(name):
    cfg, arch = read(name), arch_of(name)
    backbone = cfg.model.backbone
    assert backbone.drop_path_rate == DENSE[name]
    assert backbone.attention == 'global'
    assert backbone.init_cfg.checkpoint == f'checkpoints/uniformer_{arch}_in1k.pth'
    small = Config.fromfile(LEAVES[name].with_name(name.replace(arch, 's') + '.py'))
    for part in ('backbone', 'neck'):
        cfg.model.pop(part)
        small.model.pop(part)
    for key in ('model', 'train_dataloader', 'test_dataloader', 'param_scheduler'):
        assert cfg[key] == small[key]
    for key in ('optimizer', 'paramwise_cfg'):
        assert cfg.optim_wrapper.get(key) == small.optim_wrapper.get(key)


@pytest.mark.parametrize(
    ('name', 'free'), [('uniformer_xxs', True), ('uniformer_xxs_u4_128_k400', False)]
)
def test_the_class_token_is_decayed_as_in_the_release(name, free):
    cfg = read(name)
    cfg.model.backbone.update(init_cfg=None)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    token = model.backbone.cls_token
    [decay] = {
        group['weight_decay']
        for group in groups
        if any(parameter is token for parameter in group['params'])
    }
    assert decay == (0 if free else 0.1)
