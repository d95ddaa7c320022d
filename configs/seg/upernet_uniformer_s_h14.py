"""UPerNet, UniFormer-S, hybrid, windows of 14 tokens, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 46.9, 48.0 multi-scale; 52 M parameters,
947 G multiply-adds at 512x2048. 8 GPUs x 2 images.
"""

_base_ = './upernet_uniformer_s.py'

model = dict(backbone=dict(attention='hybrid', window_size=14))
