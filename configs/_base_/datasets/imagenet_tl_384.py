"""ImageNet-1K at 384 pixels with LV-ViT's label maps, for 12 x 12 tokens."""

_base_ = './imagenet_tl.py'

size = 384
train_pipeline = [
    *_base_.train_pipeline[:-2],
    dict(_base_.train_pipeline[-2], scale=size),
    dict(type='PackInputs', algorithm_keys=('gt_token_score',)),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(_base_.test_pipeline[1], scale=int(size / 0.9)),
    dict(type='CenterCrop', crop_size=size),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=64, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(batch_size=64, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
