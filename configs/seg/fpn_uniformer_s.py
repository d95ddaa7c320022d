"""Semantic FPN, UniFormer-S, global attention, 80k, ADE20K.

arXiv:2201.09450. Published: mIoU 46.6; 25 M parameters,
247 G multiply-adds at 512x2048. 8 GPUs x 4 images.
"""

_base_ = [
    '../_base_/models/fpn_uniformer.py',
    '../_base_/datasets/ade20k_aligned.py',
    '../_base_/seg_runtime.py',
    '../_base_/schedules/seg_adamw_80k.py',
]

default_hooks = dict(checkpoint=dict(interval=4000))
