"""Mask R-CNN, UniFormer-B, 1x (12 epochs), COCO.

arXiv:2201.09450, table 9. Published: box AP 47.4, mask AP 43.1; 69 M parameters,
399 G multiply-adds at 800x1280. 8 GPUs x 2 images, no activation checkpointing.
"""

_base_ = './mask_rcnn_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.3,
        with_cp=False,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
