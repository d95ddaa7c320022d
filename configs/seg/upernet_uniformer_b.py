"""UPerNet, UniFormer-B, global attention, 160k, ADE20K.

arXiv:2201.09450. Published: mIoU 50.0, 50.8 multi-scale; 80 M parameters,
1227 G multiply-adds at 512x2048. 8 GPUs x 2 images.
"""

_base_ = './upernet_uniformer_s.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.4,
        with_cp=(0, 0, 2, 0),
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
