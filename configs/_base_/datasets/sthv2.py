"""Something-Something V2 as frames: one of each of 16 segments, never mirrored.

A mirrored clip would have another label ("from left to right"). Tested on one clip,
three crops.
"""

_base_ = './clips.py'

sample = dict(type='SegmentSample', clip_len=16)
frames = dict(
    type='FrameListDataset',
    data_prefix=dict(img='data/sthv2'),
    filename_tmpl='img_{:05}.jpg',
    classes='sthv2',
)
loader = dict(num_workers=8, persistent_workers=True)
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='repeat_pseudo_collate'),
    dataset=dict(
        ann_file='data/sthv2/train.txt',
        num_repeats=2,
        sample=sample,
        pipeline=[*_base_.augment, *_base_.pack],
        **frames,
    ),
    **loader,
)
val_dataloader = dict(
    batch_size=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='data/sthv2/val.txt',
        test_mode=True,
        sample=dict(test_mode=True, **sample),
        pipeline=_base_.centre_pipeline,
        **frames,
    ),
    **loader,
)
test_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='data/sthv2/val.txt',
        test_mode=True,
        sample=dict(test_mode=True, **sample),
        pipeline=_base_.three_crop_pipeline,
        **frames,
    ),
    **loader,
)
