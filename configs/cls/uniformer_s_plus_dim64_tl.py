"""UniFormer-S+ with token labeling and attention heads of 64 channels.

Official release. Published: top-1 83.6; 24 M parameters, 4.2 G multiply-adds. 8 GPUs x
128 images.
"""

_base_ = './uniformer_s_plus_tl.py'

model = dict(backbone=dict(head_dim=64))
