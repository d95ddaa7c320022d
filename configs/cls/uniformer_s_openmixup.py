"""UniFormer-S with layer scale in all blocks, ImageNet-1K, as OpenMixup trains it.

OpenMixup. Published: top-1 82.29; 21.5 M parameters, 3.44 G multiply-adds without the
products of attention. 8 GPUs x 128 images, float16. Warm-up of 20 epochs, no clipping;
layer scales are not decayed. For its drop path see ``uniformer_t.py``.
"""

_base_ = [
    '../_base_/models/uniformer_cls.py',
    '../_base_/datasets/imagenet_uniformer.py',
    '../_base_/schedules/cls_openmixup_300e.py',
    '../_base_/cls_runtime.py',
]

trunc_normal = dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.02)
model = dict(backbone=dict(layer_scale='all'), init_cfg=trunc_normal)
param_scheduler = [
    dict(
        type='TimmCosineLR',
        total=300,
        warmup=20,
        start_factor=1e-6,
        eta_min=1e-5,
        convert_to_iter_based=True,
    )
]
optim_wrapper = dict(
    type='AmpOptimWrapper',
    clip_grad=None,
    paramwise_cfg=dict(custom_keys={'gamma': dict(decay_mult=0.0)}),
)
