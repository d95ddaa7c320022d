"""Top-down heatmaps, UniFormer-B, 256x192, 210 epochs, COCO.

arXiv:2201.09450. Published: AP 75.0, AR 80.4; 9.2 G multiply-adds a person.
8 GPUs x 128 people.
"""

_base_ = './td_hm_uniformer_s_256x192.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
