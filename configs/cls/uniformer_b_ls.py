"""UniFormer-B with layer scale in the attention blocks, ImageNet-1K, 300 epochs.

Official release. Published: top-1 83.9; 50 M parameters, 8.3 G multiply-adds. 8 GPUs
x 128 images.
"""

_base_ = './uniformer_b.py'

model = dict(backbone=dict(arch='base_ls'))
