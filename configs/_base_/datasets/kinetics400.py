"""Kinetics-400: clips of 16 frames out of 64, two augmentations of each.

Tested on 4 clips of a video, centre crop. Validated on one clip in the middle.
"""

_base_ = './clips.py'

sample = dict(type='DenseSample', clip_len=16, stride=4)
videos = dict(
    type='VideoListDataset',
    data_prefix=dict(video='data/kinetics400'),
    classes='k400',
)
loader = dict(num_workers=8, persistent_workers=True)
train_dataloader = dict(
    batch_size=4,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='repeat_pseudo_collate'),
    dataset=dict(
        ann_file='data/kinetics400/train.csv',
        num_repeats=2,
        sample=sample,
        pipeline=_base_.train_pipeline,
        **videos,
    ),
    **loader,
)
val_dataloader = dict(
    batch_size=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='data/kinetics400/val.csv',
        test_mode=True,
        sample=dict(test_mode=True, **sample),
        pipeline=_base_.centre_pipeline,
        **videos,
    ),
    **loader,
)
test_dataloader = dict(
    batch_size=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='data/kinetics400/test.csv',
        test_mode=True,
        sample=dict(test_mode=True, num_clips=4, **sample),
        pipeline=_base_.centre_pipeline,
        **videos,
    ),
    **loader,
)
