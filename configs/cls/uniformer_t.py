"""UniFormer-T, 224 pixels, ImageNet-1K, 300 epochs, as OpenMixup trains it.

OpenMixup. Published: top-1 78.02; 5.55 M parameters, 0.88 G multiply-adds without the
products of attention. 8 GPUs x 128 images. OpenMixup's model drops paths in stages 1
and 2 only, by an oversight; here all blocks do.
"""

_base_ = [
    '../_base_/models/uniformer_cls.py',
    '../_base_/datasets/imagenet_uniformer.py',
    '../_base_/schedules/cls_openmixup_300e.py',
    '../_base_/cls_runtime.py',
]

trunc_normal = dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02)
model = dict(
    backbone=dict(arch='tiny'), head=dict(in_channels=256), init_cfg=trunc_normal
)
