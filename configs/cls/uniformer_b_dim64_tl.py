"""UniFormer-B with token labeling and attention heads of 64 channels.

Official release. Published: top-1 84.8; 50 M parameters, 8.3 G multiply-adds. 8 GPUs x
128 images.
"""

_base_ = './uniformer_b_tl.py'

model = dict(backbone=dict(head_dim=64))
