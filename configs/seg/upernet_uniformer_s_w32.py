"""UPerNet, UniFormer-S, test layout windows of 32 tokens, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 46.6, 48.4 multi-scale; 52 M parameters,
939 G multiply-adds at 512x2048. The weights are those of upernet_uniformer_s;
there is nothing to train.
"""

_base_ = './upernet_uniformer_s.py'

model = dict(backbone=dict(attention='window', window_size=32))
