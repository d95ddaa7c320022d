"""Every leaf of every task: what its name says, a step of training, an evaluation.

The recipes themselves are compared with the release's in the tests of each task.
"""

import argparse
import json
import re
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DATASETS
from mmengine.visualization import Visualizer

from projects.common.options import add_run_options, base_parser, read_config
from projects.common.train import build_runner, prepare
from projects.common.world.cache import demo_world
from projects.common.zoo import ROOT, leaves
from uniformer_backbones.models.arch import find_arch

LEAVES = leaves()
PUBLISHED = json.loads((ROOT / 'tests/data/zoo_published.json').read_text())
NAMED = sorted({row['config'] for row in PUBLISHED})
# arXiv:2201.09450, table 1; T is OpenMixup's, XXS and XS the release's light models.
ARCHS = {
    't': ((3, 4, 8, 3), (32, 64, 160, 256)),
    's': ((3, 4, 8, 3), (64, 128, 320, 512)),
    's_plus': ((3, 5, 9, 3), (64, 128, 320, 512)),
    'b': ((5, 8, 20, 7), (64, 128, 320, 512)),
    'l': ((5, 10, 24, 7), (128, 192, 448, 640)),
    'xxs': ((2, 5, 8, 2), (56, 112, 224, 448)),
    'xs': ((3, 5, 9, 3), (64, 128, 256, 512)),
}
SCOPES = {
    'cls': 'mmpretrain',
    'det': 'mmdet',
    'seg': 'mmseg',
    'pose': 'mmpose',
    'video': 'mmaction',
}
DATA = {
    'cls': 'imagenet',
    'det': 'coco',
    'seg': 'ade',
    'pose': 'coco',
    'k400': 'kinetics400',
    'k600': 'kinetics600',
    'ssv1': 'sthv1',
    'ssv2': 'sthv2',
    'ucf101': 'ucf101',
    'hmdb51': 'hmdb51',
}
WORLDS = {
    'cls': ('imagenet', {'num_train': 8, 'num_val': 8, 'size': 64}),
    'det': ('coco', {'num_train': 2, 'num_val': 2, 'size': 64}),
    'seg': ('ade20k', {'num_train': 2, 'num_val': 2, 'size': 64}),
    'pose': ('people', {'num_train': 2, 'num_val': 2, 'size': 96}),
    'video': (
        'kinetics',
        {'num_train': 8, 'num_val': 8, 'size': (64, 64), 'num_frames': 24},
    ),
}
SIDES = {'cls': 64, 'det': 64, 'seg': 64, 'pose': 64, 'video': 32}
# Of the fast tests; the others take minutes together.
SAMPLE = ('configs/cls/uniformer_xxs_128.py',)


def task_of(path):
    return Path(path).parent.name


@cache
def read(path):
    return read_config(str(ROOT / path))


def test_the_leaves_are_the_published_rows():
    assert set(LEAVES) >= set(NAMED)
    assert (len(NAMED), len(PUBLISHED)) == (95, 100)


@pytest.mark.parametrize('path', NAMED)
def test_a_name_says_what_the_config_is(path):
    cfg, name, task = read(path), Path(path).stem, task_of(path)
    assert cfg.default_scope == SCOPES[task]
    backbone = cfg.model.backbone
    letter = re.search(r'uniformer_(s_plus|xxs|xs|[tsbl])(?=_|$)', name)[1]
    arch = find_arch(backbone.arch)
    assert (arch.depths, arch.embed_dims) == ARCHS[letter]
    assert arch.conv_stem == (letter in ('s_plus', 'xxs', 'xs'))
    assert arch.is_hourglass == letter.startswith('x')
    assert backbone.get('ndim', 2) == (3 if task == 'video' else 2)
    globals()[f'check_{task}'](cfg, name)
    part = name.split('_') if task == 'video' else [task]
    [data] = [DATA[word] for word in part if word in DATA]
    assert data in str(cfg.train_dataloader.dataset).lower()


def check_cls(cfg, name):
    side = re.search(r'_(128|160|192|384)$', name)
    text = str(cfg.test_dataloader.dataset.pipeline)
    assert f"'crop_size': {side[1] if side else 224}" in text
    assert ('Token' in cfg.model.type) == ('_tl' in name)
    epochs = 600 if '_x' in name else 300
    if '_tl' in name:
        epochs = 60 if side else 310
    assert cfg.train_cfg.max_epochs == epochs


def check_det(cfg, name):
    cascade = name.startswith('cascade')
    assert cfg.model.type == ('CascadeRCNN' if cascade else 'MaskRCNN')
    assert cfg.train_cfg.max_epochs == (36 if '_3x' in name else 12)
    sizes = str(cfg.train_dataloader.dataset).count("'scales'")
    assert bool(sizes) == ('_ms' in name)


def check_seg(cfg, name):
    upernet = name.startswith('upernet')
    assert cfg.model.decode_head.type == ('UPerHead' if upernet else 'FPNHead')
    assert cfg.train_cfg.max_iters == (160_000 if upernet else 80_000)
    kind = re.search(r'_([hw])(\d+)$', name)
    backbone = cfg.model.backbone
    wanted = {'h': 'hybrid', 'w': 'window'}[kind[1]] if kind else 'global'
    assert backbone.get('attention', 'global') == wanted
    assert not kind or backbone.window_size == int(kind[2])


def check_pose(cfg, name):
    rows, cols = map(int, name.rsplit('_', 1)[1].split('x'))
    assert tuple(cfg.codec.input_size) == (cols, rows)
    assert cfg.train_cfg.max_epochs == 210


def check_video(cfg, name):
    kind = re.search(r'_(u?)(\d+)(?:x(\d+))?_(?:(\d+)_)?([a-z]+\d+)', name)
    sample = cfg.test_dataloader.dataset.sample
    assert sample.type == ('SegmentSample' if kind[1] else 'DenseSample')
    assert sample.clip_len == int(kind[2])
    assert sample.get('stride') == (int(kind[3]) if kind[3] else None)
    side = int(kind[4] or 224)
    assert f"'crop_size': {side}" in str(cfg.test_dataloader.dataset.pipeline)
    longer = 100 if '_8x8_' in name else 110
    epochs = {'ssv1': 60, 'ssv2': 50, 'ucf101': 25, 'hmdb51': 25}.get(kind[5], longer)
    assert cfg.train_cfg.max_epochs == epochs
    pre = re.search(r'_(k\d00)pre$', name)
    weights = cfg.model.backbone.init_cfg.checkpoint
    assert (f'_{pre[1]}_' if pre else '_in1k') in weights


@pytest.fixture(scope='session')
def worlds(tmp_path_factory):
    """A few samples of a task, in its demo's layout."""
    home = tmp_path_factory.mktemp('worlds')

    @cache
    def world(task):
        kind, params = WORLDS[task]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv('UNIFORMER_DEMO_HOME', str(home))
            return demo_world(kind, **params)

    return world


def options(path, world, work_dir):
    """The command line of a training run, as tools/train.py reads it."""
    parser = base_parser(None, checkpoint=False)
    add_run_options(parser)
    parser.set_defaults(resume=None, init='none', auto_scale_lr=False)
    words = [str(path), '--data', str(world), '--work-dir', str(work_dir)]
    words += ['--quick', str(SIDES[task_of(path)]), '--steps', '1', '--seed', '0']
    settings = ['default_hooks.checkpoint=None', 'train_dataloader.batch_size=2']
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        settings += [f'{loader}.num_workers=0', f'{loader}.persistent_workers=False']
        if split != 'train' and task_of(path) in ('cls', 'video'):
            settings.append(f'{loader}.dataset.indices=2')
    return parser.parse_args([*words, '--cfg-options', *settings])


def train_on_two_samples(cfg):
    """Make an epoch one step, however a short run repeats its data."""
    loader = cfg.train_dataloader
    while loader.dataset.type == 'RepeatDataset':
        loader.dataset = loader.dataset.dataset
    loader.dataset.indices = 2


@pytest.mark.parametrize(
    'path',
    [pytest.param(p, marks=[] if p in SAMPLE else pytest.mark.slow) for p in LEAVES],
)
def test_a_leaf_takes_a_step_and_is_evaluated(path, worlds, tmp_path):
    for singleton in (MMLogger, MessageHub, Visualizer):
        singleton._instance_dict.clear()
    args = options(ROOT / path, worlds(task_of(path)), tmp_path)
    cfg = Config.fromfile(ROOT / path)
    prepare(cfg, args)
    # Overrides have the last word.
    assert cfg.train_dataloader.batch_size == 2
    train_on_two_samples(cfg)
    runner = build_runner(cfg, compiled=False)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    assert runner.iter == 1
    after = runner.model.state_dict()
    assert all(torch.isfinite(v).all() for v in after.values())
    moved = [k for k in before if not torch.equal(before[k], after[k])]
    assert any(name.startswith('backbone.blocks4') for name in moved)
    logged = runner.message_hub.log_scalars
    assert torch.isfinite(torch.tensor(logged['train/loss'].current()))
    assert any(name.startswith('val/') and 'time' not in name for name in logged)
    one_prediction(cfg, runner.model.eval())


def one_prediction(cfg, model):
    """The first sample of the test pipeline, all of its views."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    with torch.no_grad():
        [sample] = model.test_step(pseudo_collate([dataset[0]]))
    found = [key for key in sample.keys() if key.startswith('pred')]  # noqa: SIM118
    assert found


def test_overrides_reach_the_model(tmp_path, worlds):
    """--cfg-options has the last word, also over --data and --quick."""
    path = 'configs/cls/uniformer_s.py'
    args = options(ROOT / path, worlds('cls'), tmp_path)
    args.cfg_options = {'model.backbone.drop_path_rate': 0.25, 'work_dir': 'elsewhere'}
    cfg = read_config(str(ROOT / path))
    assert isinstance(args, argparse.Namespace)
    prepare(cfg, args)
    assert cfg.model.backbone.drop_path_rate == 0.25
    assert cfg.work_dir == 'elsewhere'
