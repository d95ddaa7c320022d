"""Semantic FPN, UniFormer-XXS, 80k, ADE20K.

Official release. Published: mIoU 42.3; 13.5 M parameters. 8 GPUs x 4 images.
"""

_base_ = './fpn_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='xxs',
        drop_path_rate=0.0,
        init_cfg=dict(checkpoint='checkpoints/uniformer_xxs_in1k.pth'),
    ),
    neck=dict(in_channels=[56, 112, 224, 448]),
)
