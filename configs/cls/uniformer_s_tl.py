"""UniFormer-S with token labeling, 224 pixels, ImageNet-1K, 310 epochs.

arXiv:2201.09450, table 3. Published: top-1 83.4; 22 M parameters, 3.6 G multiply-adds.
8 GPUs x 128 images.
"""

_base_ = [
    '../_base_/models/uniformer_tl.py',
    '../_base_/datasets/imagenet_tl.py',
    '../_base_/schedules/cls_tl_310e.py',
    '../_base_/cls_runtime.py',
]
