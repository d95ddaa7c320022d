"""ImageNet-1K at 224 pixels with LV-ViT's label maps, a soft label for 7 x 7 tokens.

Flip, RandAugment and, last, the crop move image and map together. The layout of the
maps is in ``projects/cls/label_map.py``; ``tools/make_label_maps.py`` makes your own.
"""

_base_ = './imagenet_uniformer.py'

size = 224
label_maps = 'data/imagenet/label_top5_train_nfnet'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabelMap', root=label_maps, num_classes=1000),
    dict(type='TokenFlip', prob=0.5),
    dict(
        type='TimmImageAugment',
        policy='rand-m9-mstd0.5-inc1',
        fill=(128, 128, 128),
        interpolation='random',
    ),
    dict(
        type='TokenCrop',
        scale=size,
        crop_ratio_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        interpolation='random',
    ),
    dict(type='PackInputs', algorithm_keys=('gt_token_score',)),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='ResizeEdge',
        scale=int(size / 0.9),
        edge='short',
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='CenterCrop', crop_size=size),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=128,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline),
)
val_dataloader = dict(batch_size=128, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
