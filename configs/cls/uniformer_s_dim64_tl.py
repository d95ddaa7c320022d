"""UniFormer-S with token labeling and attention heads of 64 channels.

Official release. Published: top-1 83.4; 22 M parameters, 3.6 G multiply-adds. 8 GPUs x
128 images.
"""

_base_ = './uniformer_s_tl.py'

model = dict(backbone=dict(head_dim=64))
