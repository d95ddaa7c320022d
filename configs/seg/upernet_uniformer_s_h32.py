"""UPerNet, UniFormer-S, test layout hybrid, windows of 32 tokens, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 47.0, 48.5 multi-scale; 52 M parameters,
955 G multiply-adds at 512x2048. The weights are those of upernet_uniformer_s;
there is nothing to train.
"""

_base_ = './upernet_uniformer_s.py'

model = dict(backbone=dict(attention='hybrid', window_size=32))
