"""UPerNet of mmseg on UniFormer, with an auxiliary head on stage 3."""

_base_ = 'mmseg::_base_/models/upernet_r50.py'

data_preprocessor = dict(size=(512, 512))
model = dict(
    data_preprocessor=data_preprocessor,
    pretrained=None,
    backbone=dict(
        _delete_=True,
        type='uniformer_backbones.UniFormer',
        arch='small',
        attention='global',
        out_indices=(0, 1, 2, 3),
        out_norm='layer',
        drop_path_rate=0.25,
        init_cfg=dict(
            type='Pretrained', checkpoint='checkpoints/uniformer_small_in1k.pth'
        ),
    ),
    decode_head=dict(in_channels=[64, 128, 320, 512], num_classes=150),
    auxiliary_head=dict(in_channels=320, num_classes=150),
)
# Several sizes, each with its mirror image; see configs/seg/README.md.
tta_model = dict(type='SegTTAModel')
