"""Semantic FPN, UniFormer-B, global attention, 80k, ADE20K.

arXiv:2201.09450. Published: mIoU 48.0; 54 M parameters,
471 G multiply-adds at 512x2048. 8 GPUs x 4 images.
"""

_base_ = './fpn_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
