"""Semantic FPN, UniFormer-XS, 80k, ADE20K.

Official release. Published: mIoU 44.4; 19.7 M parameters. 8 GPUs x 4 images.
"""

_base_ = './fpn_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='xs',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='checkpoints/uniformer_xs_in1k.pth'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
