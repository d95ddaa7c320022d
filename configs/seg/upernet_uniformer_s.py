"""UPerNet, UniFormer-S, global attention, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 47.6, 48.5 multi-scale; 52 M parameters,
1004 G multiply-adds at 512x2048. 8 GPUs x 2 images.
"""

_base_ = [
    '../_base_/models/upernet_uniformer.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/seg_runtime.py',
    '../_base_/schedules/seg_adamw_160k.py',
]

default_hooks = dict(checkpoint=dict(interval=16000))
