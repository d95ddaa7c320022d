"""UniFormer-B, Something-Something V2, 16 frames of the whole clip.

From Kinetics-600 weights. arXiv:2201.04676. Published: top-1 70.2, 290 G
multiply-adds for 3 crops of 224 pixels. 8 GPUs x 5 videos.
"""

_base_ = './uniformer_b_u16_ssv2_k400pre.py'
model = dict(
    backbone=dict(
        drop_path_rate=0.5,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_k600_16x4.pth'),
    )
)
