"""Kinetics-400 for the light models: one frame of each of N segments, one test view.

A leaf takes the crops and the test pipeline of its size: ``crops.s128``,
``centres.s128``.
"""

_base_ = './kinetics400.py'

sample = dict(_delete_=True, type='SegmentSample', clip_len=8)
held_out = dict(_delete_=True, type='SegmentSample', clip_len=8, test_mode=True)
pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
crops = {
    f's{size}': [
        dict(
            type='TimmResizedCrop',
            area_range=(0.08, 1),
            aspect_ratio_range=(3 / 4, 4 / 3),
        ),
        dict(type='Resize', scale=(size, size), keep_ratio=False),
        dict(type='Flip', flip_ratio=0.5),
        *pack,
    ]
    for size in (128, 160, 192)
}
centres = {
    f's{size}': [
        dict(type='Resize', scale=(-1, size)),
        dict(type='CenterCrop', crop_size=size),
        *pack,
    ]
    for size in (128, 160, 192)
}
train_dataloader = dict(batch_size=32, dataset=dict(sample=sample))
val_dataloader = dict(dataset=dict(sample=held_out))
test_dataloader = dict(dataset=dict(sample=held_out))
