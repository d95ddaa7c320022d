"""Semantic FPN, UniFormer-S, test layout hybrid, windows of 32 tokens, 80k, ADE20K.

arXiv:2201.09450. Published: mIoU 46.2; 25 M parameters,
199 G multiply-adds at 512x2048. The weights are those of fpn_uniformer_s;
there is nothing to train.
"""

_base_ = './fpn_uniformer_s.py'

model = dict(backbone=dict(attention='hybrid', window_size=32))
