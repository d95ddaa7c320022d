"""UPerNet, UniFormer-B, test layout windows of 32 tokens, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 49.1, 50.6 multi-scale; 80 M parameters,
1066 G multiply-adds at 512x2048. The weights are those of upernet_uniformer_b;
there is nothing to train.
"""

_base_ = './upernet_uniformer_b.py'

model = dict(backbone=dict(attention='window', window_size=32))
