"""Mask R-CNN, UniFormer-S, 3x (36 epochs) with multi-scale training, COCO.

arXiv:2201.09450, table 9. Published: box AP 48.2, mask AP 43.4; 41 M parameters,
269 G multiply-adds at 800x1280. 8 GPUs x 2 images.
"""

_base_ = [
    '../_base_/models/mask_rcnn_uniformer.py',
    '../_base_/datasets/coco_instance_ms.py',
    '../_base_/schedules/det_adamw_3x.py',
    '../_base_/det_runtime.py',
]

model = dict(backbone=dict(drop_path_rate=0.1))
