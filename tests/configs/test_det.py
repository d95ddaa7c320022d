"""Every detection leaf: its name agrees with its content, and it trains.

Expected values: recipes of the official release (README of object_detection).
"""

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope

from projects.det.task import TASK

ROOT = Path(__file__).resolve().parents[2]
LEAVES = sorted((ROOT / 'configs/det').glob('*_uniformer_[sb]*.py'))
# drop path; leading blocks of stage 3 with activation checkpointing
OFFICIAL = {
    'mask_rcnn_uniformer_s': (0.2, 8),
    'mask_rcnn_uniformer_s_3x_ms': (0.1, 8),
    'mask_rcnn_uniformer_b': (0.3, 0),
    'mask_rcnn_uniformer_b_3x_ms': (0.3, 20),
    'cascade_mask_rcnn_uniformer_s_3x_ms': (0.2, 8),
    'cascade_mask_rcnn_uniformer_b_3x_ms': (0.4, 20),
}
ARCHS = {'s': ('small', (3, 4, 8, 3)), 'b': ('base', (5, 8, 20, 7))}


def read(path):
    init_default_scope('mmdet')
    return Config.fromfile(ROOT / path)


def test_there_is_one_leaf_per_published_row():
    assert {path.stem for path in LEAVES} == set(OFFICIAL)


@pytest.mark.parametrize('path', LEAVES, ids=lambda path: path.stem)
def test_a_leaf_is_small_and_says_what_its_name_says(path):
    assert len(path.read_text().splitlines()) <= 30
    cfg = read(path)
    name = re.fullmatch(r'(cascade_)?mask_rcnn_uniformer_([sb])(_3x_ms)?', path.stem)
    cascade, letter, long = name.groups()
    arch, depths = ARCHS[letter]
    backbone = cfg.model.backbone
    assert cfg.model.type == ('CascadeRCNN' if cascade else 'MaskRCNN')
    assert backbone.arch == arch
    weights = f'checkpoints/uniformer_{arch}_in1k.pth'
    assert backbone.init_cfg == {'type': 'Pretrained', 'checkpoint': weights}
    assert cfg.train_cfg.max_epochs == (36 if long else 12)
    assert cfg.param_scheduler[0].end == 500
    assert cfg.param_scheduler[1].milestones == ([27, 33] if long else [8, 11])
    transforms = [t.type for t in cfg.train_dataloader.dataset.pipeline]
    assert ('RandomChoice' in transforms) == bool(long)
    rate, checkpointed = OFFICIAL[path.stem]
    assert backbone.drop_path_rate == rate
    backbone.init_cfg = None
    model = MODELS.build(backbone)
    assert model.checkpointed == (0, 0, checkpointed, 0)
    assert model.arch.depths == depths
    # Hybrid: every fourth block of stage 3 is global, the others see windows of 14.
    kinds = [getattr(block.attn, 'window_size', None) for block in model.blocks3]
    assert kinds == [None if i % 4 == 3 else 14 for i in range(depths[2])]
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == (
        'AdamW',
        1e-4,
        0.05,
    )
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size


def test_only_names_with_norm_are_free_of_weight_decay():
    from mmengine.optim import build_optim_wrapper

    cfg = read('configs/det/mask_rcnn_uniformer_s.py')
    cfg.model.backbone.update(init_cfg=None, arch='tiny')
    cfg.optim_wrapper.type = 'OptimWrapper'
    model = MODELS.build(cfg.model.backbone)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {parameter: name for name, parameter in model.named_parameters()}
    for group in wrapper.optimizer.param_groups:
        [parameter] = group['params']
        free = 'norm' in names[parameter]
        assert group['weight_decay'] == (0 if free else 0.05)


def test_cascade_box_heads_are_the_official_ones():
    heads = read('configs/det/cascade_mask_rcnn_uniformer_s_3x_ms.py').model.roi_head
    assert [head.bbox_coder.target_stds for head in heads.bbox_head] == [
        [0.1, 0.1, 0.2, 0.2],
        [0.05, 0.05, 0.1, 0.1],
        [0.033, 0.033, 0.067, 0.067],
    ]
    for head in heads.bbox_head:
        assert (head.num_shared_convs, head.num_shared_fcs) == (4, 1)
        assert head.norm_cfg.type == 'SyncBN'
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == ('GIoULoss', 10.0)
        assert head.reg_decoded_bbox
        assert not head.reg_class_agnostic
    assert heads.stage_loss_weights == [1, 0.5, 0.25]


@pytest.mark.parametrize(
    'path',
    [
        pytest.param(
            path,
            marks=[] if path.stem == 'mask_rcnn_uniformer_s' else pytest.mark.slow,
        )
        for path in LEAVES
    ],
    ids=lambda path: path.stem,
)
def test_a_leaf_trains_one_step_and_predicts(path, world):
    cfg = read(path)
    TASK.use_folder(cfg, world)
    TASK.shrink(cfg, 64, None)
    cfg.model.backbone.init_cfg = None
    if cfg.model.type == 'CascadeRCNN':  # the Runner does this in a single process
        for head in cfg.model.roi_head.bbox_head:
            head.norm_cfg.type = 'BN'
    model = MODELS.build(cfg.model)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[0], dataset[1]])
    losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(
        parameter.grad is not None
        for name, parameter in model.named_parameters()
        if name.startswith('backbone.')
    )
    held_out = DATASETS.build(cfg.val_dataloader.dataset)
    with torch.no_grad():
        [sample] = model.eval().test_step(pseudo_collate([held_out[0]]))
    assert sample.pred_instances.masks.shape[1:] == sample.ori_shape
