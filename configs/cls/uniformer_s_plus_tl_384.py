"""UniFormer-S+ with token labeling, fine-tuned at 384 pixels for 60 epochs.

Official release. Published: top-1 84.9; 24 M parameters, 13.7 G multiply-adds. 8 GPUs x
64 images.
"""

_base_ = './uniformer_s_tl_384.py'

model = dict(
    backbone=dict(arch='small_plus'),
    init_cfg=dict(checkpoint='checkpoints/uniformer_small_plus_tl_224.pth'),
)
