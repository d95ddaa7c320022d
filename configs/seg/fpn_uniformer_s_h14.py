"""Semantic FPN, UniFormer-S, hybrid, windows of 14 tokens, 80k, ADE20K.

arXiv:2201.09450. Published: mIoU 46.3; 25 M parameters,
172 G multiply-adds at 512x2048. 8 GPUs x 4 images.
"""

_base_ = './fpn_uniformer_s.py'

model = dict(backbone=dict(attention='hybrid', window_size=14))
