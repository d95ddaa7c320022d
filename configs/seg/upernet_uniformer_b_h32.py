"""UPerNet, UniFormer-B, test layout hybrid, windows of 32 tokens, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 49.5, 50.7 multi-scale; 80 M parameters,
1106 G multiply-adds at 512x2048. The weights are those of upernet_uniformer_b;
there is nothing to train.
"""

_base_ = './upernet_uniformer_b.py'

model = dict(backbone=dict(attention='hybrid', window_size=32))
