"""Mask R-CNN, UniFormer-B, 3x (36 epochs) with multi-scale training, COCO.

arXiv:2201.09450, table 9. Published: box AP 50.3, mask AP 44.8; 69 M parameters,
399 G multiply-adds at 800x1280. 8 GPUs x 2 images.
"""

_base_ = './mask_rcnn_uniformer_s_3x_ms.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.3,
        with_cp=(0, 0, 20, 0),
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
