"""Semantic FPN of mmseg on UniFormer: one head of 128 channels, no auxiliary one."""

_base_ = 'mmseg::_base_/models/fpn_r50.py'

data_preprocessor = dict(size=(512, 512))
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='uniformer_backbones.UniFormer',
        arch='small',
        attention='global',
        out_indices=(0, 1, 2, 3),
        out_norm='layer',
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/uniformer_small_in1k.pth'
        ),
    ),
    neck=dict(in_channels=[64, 128, 320, 512]),
    decode_head=dict(num_classes=150),
)
