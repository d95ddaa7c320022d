"""UniFormer-S+ with token labeling, 224 pixels, ImageNet-1K, 310 epochs.

Official release. Published: top-1 83.9; 24 M parameters, 4.2 G multiply-adds. 8 GPUs x
128 images.
"""

_base_ = './uniformer_s_tl.py'

model = dict(backbone=dict(arch='small_plus'))
