"""Semantic FPN, UniFormer-B, test layout hybrid, windows of 32 tokens, 80k, ADE20K.

arXiv:2201.09450. Published: mIoU 47.7; 54 M parameters,
350 G multiply-adds at 512x2048. The weights are those of fpn_uniformer_b;
there is nothing to train.
"""

_base_ = './fpn_uniformer_b.py'

model = dict(backbone=dict(attention='hybrid', window_size=32))
