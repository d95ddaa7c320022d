"""UniFormer-B with token labeling, fine-tuned at 384 pixels for 60 epochs.

arXiv:2201.09450, table 3. Published: top-1 86.0; 50 M parameters, 27.2 G multiply-adds.
8 GPUs x 64 images.
"""

_base_ = './uniformer_s_tl_384.py'

model = dict(
    backbone=dict(arch='base', drop_path_rate=0.3),
    init_cfg=dict(checkpoint='checkpoints/uniformer_base_tl_224.pth'),
)
