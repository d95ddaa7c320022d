"""ImageNet-1K for the light models: 512 images a GPU, no repeats, four input sizes.

A leaf takes the pipelines of its arch and size: ``train_pipelines.xxs_128``,
``test_pipelines.s128``.
"""

_base_ = './imagenet_uniformer.py'

load, pack = dict(type='LoadImageFromFile'), dict(type='PackInputs')
train_pipelines = {
    f'{arch}_{size}': [
        load,
        dict(
            type='RandomResizedCrop',
            scale=size,
            crop_ratio_range=(0.08, 1.0),
            aspect_ratio_range=(3 / 4, 4 / 3),
            backend='pillow',
            interpolation='bicubic',
        ),
        dict(type='RandomFlip', prob=0.5, direction='horizontal'),
        dict(type='TimmImageAugment', policy=policy),
        pack,
    ]
    for arch, size, policy in (
        ('xxs', 128, 'v0'),
        ('xxs', 160, 'v0'),
        ('xxs', 192, 'v0'),
        ('xxs', 224, 'v0'),
        ('xs', 192, 'rand-m9-mstd0.5-inc1'),
        ('xs', 224, 'rand-m9-mstd0.5-inc1'),
    )
}
test_pipelines = {
    f's{size}': [
        load,
        dict(
            type='ResizeEdge',
            scale=int(256 / 224 * size),
            edge='short',
            backend='pillow',
            interpolation='bicubic',
        ),
        dict(type='CenterCrop', crop_size=size),
        pack,
    ]
    for size in (128, 160, 192, 224)
}
train_dataloader = dict(
    batch_size=512,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipelines['xxs_224']),
)
val_dataloader = dict(batch_size=768)
test_dataloader = dict(batch_size=768)
