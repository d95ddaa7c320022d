"""UniFormer-XS, 224 pixels, ImageNet-1K, 600 epochs from scratch, float32.

Official release. Published: top-1 82.0; 16.5 M parameters, 2.0 G
multiply-adds. 8 GPUs x 512 images.
"""

_base_ = [
    '../_base_/models/uniformer_light_cls.py',
    '../_base_/datasets/imagenet_light.py',
    '../_base_/schedules/cls_light_adamw_600e.py',
    '../_base_/cls_runtime.py',
]

lr = 5e-4 * 4096 / 512
model = dict(backbone=dict(arch='xs', drop_path_rate=0.1), head=dict(in_channels=512))
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipelines.xs_224))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipelines.s224))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=lr, weight_decay=0.05))
