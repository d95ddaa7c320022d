"""UniFormer-S+ (convolutional embeddings, heads of 32), ImageNet-1K, 300 epochs.

arXiv:2201.09450, table 3. Published: top-1 83.4; 24 M parameters, 4.2 G
multiply-adds. 8 GPUs x 128 images.
"""

_base_ = [
    '../_base_/models/uniformer_cls.py',
    '../_base_/datasets/imagenet_uniformer.py',
    '../_base_/schedules/cls_adamw_300e.py',
    '../_base_/cls_runtime.py',
]

model = dict(backbone=dict(arch='small_plus'))
