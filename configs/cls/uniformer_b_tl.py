"""UniFormer-B with token labeling, 224 pixels, ImageNet-1K, 310 epochs.

arXiv:2201.09450, table 3. Published: top-1 85.1; 50 M parameters, 8.3 G multiply-adds.
8 GPUs x 128 images.
"""

_base_ = './uniformer_s_tl.py'

model = dict(backbone=dict(arch='base', drop_path_rate=0.3))
