"""UniFormer-B, Something-Something V1, 32 frames of the whole clip.

From Kinetics-600 weights. arXiv:2201.04676. Published: top-1 61.0, 777 G
multiply-adds for 3 crops of 224 pixels. 8 GPUs x 4 videos.
"""

_base_ = './uniformer_b_u32_ssv1_k400pre.py'
model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_k600_16x4.pth'),
    )
)
