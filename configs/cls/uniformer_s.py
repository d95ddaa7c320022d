"""UniFormer-S, 224 pixels, ImageNet-1K, 300 epochs from scratch.

arXiv:2201.09450, table 3. Published: top-1 82.9; 22 M parameters, 3.6 G
multiply-adds. 8 GPUs x 128 images. Its weights start every downstream task.
"""

_base_ = [
    '../_base_/models/uniformer_cls.py',
    '../_base_/datasets/imagenet_uniformer.py',
    '../_base_/schedules/cls_adamw_300e.py',
    '../_base_/cls_runtime.py',
]
