"""UniFormer-L with layer scale and token labeling, ImageNet-1K, 310 epochs.

arXiv:2201.09450, table 3. Published: top-1 85.6; 100 M parameters, 12.6 G
multiply-adds. 8 GPUs x 128 images. The published multiply-adds are those of 10 blocks
in stage 3; the released model has 24 there and needs 19.7 G.
"""

_base_ = './uniformer_s_tl.py'

model = dict(
    backbone=dict(arch='large_ls', head_dim=64, drop_path_rate=0.4),
    head=dict(in_channels=640),
)
optim_wrapper = dict(optimizer=dict(lr=1.2e-3))
