"""Mask R-CNN, UniFormer-XS, 1x (12 epochs), COCO, float32.

Official release. Published: box AP 44.6, mask AP 40.9; 35.6 M parameters. 8 GPUs x 2
images. Token shrinking takes the place of windows.
"""

_base_ = './mask_rcnn_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='xs',
        attention='global',
        drop_path_rate=0.15,
        with_cp=False,
        init_cfg=dict(checkpoint='checkpoints/uniformer_xs_in1k.pth'),
    ),
    neck=dict(in_channels=[64, 128, 256, 512]),
)
optim_wrapper = dict(type='OptimWrapper')
