"""UPerNet, UniFormer-B, hybrid, windows of 14 tokens, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 48.9, 50.0 multi-scale; 80 M parameters,
1085 G multiply-adds at 512x2048. 8 GPUs x 2 images.
"""

_base_ = './upernet_uniformer_b.py'

model = dict(backbone=dict(attention='hybrid', window_size=14))
