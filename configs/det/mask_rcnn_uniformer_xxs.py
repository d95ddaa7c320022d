"""Mask R-CNN, UniFormer-XXS, 1x (12 epochs), COCO, float32.

Official release. Published: box AP 42.8, mask AP 39.2; 29.4 M parameters. 8 GPUs x 2
images. Token shrinking takes the place of windows.
"""

_base_ = './mask_rcnn_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='xxs',
        attention='global',
        drop_path_rate=0.0,
        with_cp=False,
        init_cfg=dict(checkpoint='checkpoints/uniformer_xxs_in1k.pth'),
    ),
    neck=dict(in_channels=[56, 112, 224, 448]),
)
optim_wrapper = dict(type='OptimWrapper')
