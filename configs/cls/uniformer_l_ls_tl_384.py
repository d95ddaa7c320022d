"""UniFormer-L with layer scale and token labeling, fine-tuned at 384 pixels.

arXiv:2201.09450, table 3. Published: top-1 86.3; 100 M parameters, 39.2 G
multiply-adds. 8 GPUs x 32 images. The published multiply-adds are those of 10 blocks in
stage 3; the released model has 24 there and needs 62.7 G.
"""

_base_ = './uniformer_s_tl_384.py'

model = dict(
    backbone=dict(arch='large_ls', head_dim=64, drop_path_rate=0.3),
    head=dict(in_channels=640),
    init_cfg=dict(checkpoint='checkpoints/uniformer_large_ls_tl_224.pth'),
)
train_dataloader = dict(batch_size=32)
auto_scale_lr = dict(base_batch_size=256)
