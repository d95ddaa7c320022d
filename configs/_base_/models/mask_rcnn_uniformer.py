"""Mask R-CNN of mmdet on UniFormer: hybrid attention, windows of 14 tokens."""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='uniformer_backbones.UniFormer',
        arch='small',
        attention='hybrid',
        window_size=14,
        out_indices=(0, 1, 2, 3),
        out_norm='layer',
        drop_path_rate=0.2,
        with_cp=(0, 0, 8, 0),
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/uniformer_small_in1k.pth'
        ),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
)
