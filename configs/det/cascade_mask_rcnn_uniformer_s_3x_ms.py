"""Cascade Mask R-CNN, UniFormer-S, 3x (36 epochs) with multi-scale training, COCO.

arXiv:2201.09450, table 10. Published: box AP 52.1, mask AP 45.2; 79 M parameters,
747 G multiply-adds at 800x1280. 8 GPUs x 2 images.
"""

_base_ = [
    '../_base_/models/cascade_mask_rcnn_uniformer.py',
    '../_base_/datasets/coco_instance_ms.py',
    '../_base_/schedules/det_adamw_3x.py',
    '../_base_/det_runtime.py',
]
