"""Cascade Mask R-CNN, UniFormer-B, 3x (36 epochs) with multi-scale training, COCO.

arXiv:2201.09450, table 10. Published: box AP 53.8, mask AP 46.4; 107 M parameters,
878 G multiply-adds at 800x1280. 8 GPUs x 2 images.
"""

_base_ = './cascade_mask_rcnn_uniformer_s_3x_ms.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.4,
        with_cp=(0, 0, 20, 0),
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
