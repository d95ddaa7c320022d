"""Mask R-CNN, UniFormer-S, 1x (12 epochs), COCO.

arXiv:2201.09450, table 9. Published: box AP 45.6, mask AP 41.6; 41 M parameters,
269 G multiply-adds at 800x1280. 8 GPUs x 2 images.
"""

_base_ = [
    '../_base_/models/mask_rcnn_uniformer.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/det_adamw_1x.py',
    '../_base_/det_runtime.py',
]
