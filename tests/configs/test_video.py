"""Every video leaf: its name agrees with its content, its cost is the published one.

Expected values: experiment files and README of the official release.
"""

import re
from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from projects.common.complexity import measure
from projects.common.input_size import default_size

ROOT = Path(__file__).resolve().parents[2]
LEAVES = {
    path.stem.removeprefix('uniformer_'): path
    for path in (ROOT / 'configs/video').glob('uniformer_[sb]_*.py')
}
# name: videos a step, rate, epochs, warm-up, drop path, G multiply-adds of a video
OFFICIAL = {
    's_8x8_k400': (128, 4e-4, 100, 10, 0.1, 70),
    's_16x4_k400': (32, 1e-4, 110, 10, 0.1, 167),
    's_16x8_k400': (32, 1e-4, 110, 10, 0.1, 167),
    's_32x4_k400': (32, 1e-4, 110, 10, 0.1, 438),
    'b_8x8_k400': (64, 2e-4, 100, 10, 0.3, 161),
    'b_16x4_k400': (40, 1.25e-4, 110, 10, 0.3, 387),
    'b_16x8_k400': (40, 1.25e-4, 110, 10, 0.3, 387),
    'b_32x4_k400': (32, 1e-4, 110, 10, 0.3, 1036),
    's_16x4_k600': (96, 3e-4, 110, 10, 0.1, 167),
    's_16x8_k600': (32, 1e-4, 110, 10, 0.1, 167),
    'b_16x4_k600': (40, 1.25e-4, 110, 10, 0.3, 387),
    'b_16x8_k600': (32, 1.25e-4, 110, 10, 0.3, 387),
    'b_32x4_k600': (128, 4e-4, 110, 10, 0.3, 1036),
    's_u16_ssv1_k400pre': (32, 2e-4, 60, 5, 0.2, 125),
    's_u16_ssv1_k600pre': (32, 2e-4, 60, 5, 0.2, 125),
    's_u32_ssv1_k400pre': (32, 2e-4, 60, 5, 0.2, 329),
    's_u32_ssv1_k600pre': (32, 2e-4, 60, 5, 0.3, 329),
    'b_u16_ssv1_k400pre': (40, 2.5e-4, 60, 5, 0.6, 290),
    'b_u16_ssv1_k600pre': (40, 2.5e-4, 60, 5, 0.5, 290),
    'b_u32_ssv1_k400pre': (32, 2e-4, 60, 5, 0.6, 777),
    'b_u32_ssv1_k600pre': (32, 2e-4, 60, 5, 0.6, 777),
    's_u16_ssv2_k400pre': (32, 2e-4, 50, 5, 0.3, 125),
    's_u16_ssv2_k600pre': (32, 2e-4, 50, 5, 0.3, 125),
    's_u32_ssv2_k400pre': (32, 2e-4, 50, 5, 0.3, 329),
    's_u32_ssv2_k600pre': (32, 2e-4, 50, 5, 0.3, 329),
    'b_u16_ssv2_k400pre': (40, 2.5e-4, 50, 5, 0.4, 290),
    'b_u16_ssv2_k600pre': (40, 2.5e-4, 50, 5, 0.5, 290),
    'b_u32_ssv2_k400pre': (32, 2e-4, 50, 5, 0.5, 777),
    'b_u32_ssv2_k600pre': (32, 2e-4, 50, 5, 0.5, 777),
    's_16x4_ucf101_k400pre': (128, 5e-5, 25, 5, 0.2, 625),
    's_16x4_hmdb51_k400pre': (128, 5e-5, 25, 5, 0.2, 625),
}
# test clips, crop, classes, augmentation, frame name
LONG, SHORT = 'rand-m7-n4-mstd0.5-inc1', 'rand-m5-n2-mstd0.25'
DATA = {
    'k400': (4, 'CenterCrop', 400, LONG, None),
    'k600': (4, 'CenterCrop', 600, LONG, None),
    'ssv1': (1, 'ThreeCrop', 174, LONG, '{:05}.jpg'),
    'ssv2': (1, 'ThreeCrop', 174, LONG, 'img_{:05}.jpg'),
    'ucf101': (5, 'ThreeCrop', 101, SHORT, None),
    'hmdb51': (5, 'ThreeCrop', 51, SHORT, 'img_{:05}.jpg'),
}
ARCHS = {'s': 'small', 'b': 'base'}
NAME = re.compile(r'([sb])_(u?)(\d+)(?:x(\d+))?_([a-z]+\d+)(?:_(k\d00)pre)?')


@cache
def read(name):
    init_default_scope('mmaction')
    return Config.fromfile(LEAVES[name])


@cache
def cost(arch, size):
    model = {
        'type': 'Recognizer3D',
        'backbone': {'type': 'uniformer_backbones.UniFormer', 'arch': arch, 'ndim': 3},
    }
    return measure(Config({'default_scope': 'mmaction', 'model': model}), size).flops


def test_there_is_one_leaf_per_published_row():
    assert set(LEAVES) == set(OFFICIAL)


@pytest.mark.parametrize('name', OFFICIAL)
def test_a_leaf_is_small_and_says_what_its_name_says(name):
    assert len(LEAVES[name].read_text().splitlines()) <= 32
    cfg = read(name)
    letter, uniform, frames, stride, data, pre = NAME.fullmatch(name).groups()
    videos, rate, epochs, warmup, drop_path, _ = OFFICIAL[name]
    clips, crop, classes, policy, template = DATA[data]
    backbone, arch = cfg.model.backbone, ARCHS[letter]
    assert (backbone.arch, backbone.ndim) == (arch, 3)
    assert backbone.drop_path_rate == drop_path
    start = f'{pre}_16x4' if pre else 'in1k'
    assert backbone.init_cfg.checkpoint == f'checkpoints/uniformer_{arch}_{start}.pth'
    assert backbone.init_cfg.inflate == (None if pre else 'average')
    assert cfg.model.cls_head.num_classes == classes
    assert cfg.model.data_preprocessor.mixing.num_classes == classes
    kind = 'SegmentSample' if uniform else 'DenseSample'
    views = {'train': 1, 'val': 1, 'test': clips}
    for split, wanted in views.items():
        dataset = cfg[f'{split}_dataloader'].dataset
        sample = dict(dataset.sample)
        assert sample.pop('test_mode', False) == (split != 'train')
        assert sample.pop('num_clips', 1) == wanted
        expected = {'type': kind, 'clip_len': int(frames)}
        assert sample == expected | ({} if uniform else {'stride': int(stride)})
        assert dataset.get('filename_tmpl') == template
        assert bool(template) == (dataset.type == 'FrameListDataset')
        assert len(dataset.classes) > 3
    train = cfg.train_dataloader
    assert train.dataset.num_repeats == 2
    assert train.collate_fn.type == 'repeat_pseudo_collate'
    assert train.batch_size * (32 if name == 'b_32x4_k600' else 8) == videos
    assert cfg.auto_scale_lr.base_batch_size == videos
    steps = {step.type: step for step in train.dataset.pipeline}
    assert ('Flip' in steps) == (not uniform)
    assert steps['TimmRandAugment'].policy == policy
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline][1] == crop
    assert cfg.optim_wrapper.optimizer.lr == rate
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.param_scheduler.warmup == warmup
    assert cfg.randomness.seed == (0 if letter == 's' and data[:2] == 'ss' else 6666)
    ends = 4e-6 if name == 'b_32x4_k600' else 1e-6
    assert cfg.param_scheduler.start_lr == cfg.param_scheduler.final_lr == ends


@pytest.mark.parametrize('name', OFFICIAL)
def test_all_views_of_a_video_cost_what_is_published(name):
    cfg, published = read(name), OFFICIAL[name][-1]
    dataset = cfg.test_dataloader.dataset
    crops = 3 if dataset.pipeline[1].type == 'ThreeCrop' else 1
    views = crops * dataset.sample.get('num_clips', 1)
    size = default_size(cfg)
    assert size[1:] == (224, 224)
    flops = views * cost(cfg.model.backbone.arch, size) / 1e9
    assert flops == pytest.approx(published, rel=0.02)
