"""Image classifier on UniFormer-XXS: a linear layer on the mean of the map.

In training another one sees the class token, and the loss is the mean of the two.
"""

_base_ = './uniformer_cls.py'

model = dict(
    backbone=dict(arch='xxs', out_cls_token=True, drop_path_rate=0.0),
    neck=None,
    head=dict(type='LightHead', in_channels=448),
)
