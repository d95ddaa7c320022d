"""UniFormer-XXS, 192 pixels, ImageNet-1K, 600 epochs from scratch, float32.

Official release. Published: top-1 79.9; 10.2 M parameters, 0.96 G
multiply-adds. 8 GPUs x 512 images.
"""

_base_ = [
    '../_base_/models/uniformer_light_cls.py',
    '../_base_/datasets/imagenet_light.py',
    '../_base_/schedules/cls_light_adamw_600e.py',
    '../_base_/cls_runtime.py',
]

train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipelines.xxs_192))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipelines.s192))
test_dataloader = val_dataloader
