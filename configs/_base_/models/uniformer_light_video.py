"""UniFormer-XXS in 3D from ImageNet weights; two classifiers in training, one later."""

_base_ = './uniformer_video.py'

model = dict(
    backbone=dict(
        arch='xxs',
        out_cls_token=True,
        drop_path_rate=0.05,
        init_cfg=dict(checkpoint='checkpoints/uniformer_xxs_160_in1k.pth'),
    ),
    cls_head=dict(type='LightClipHead', in_channels=448),
)
