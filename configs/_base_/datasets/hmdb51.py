"""HMDB51, split 1, as frames: dense clips, mild augmentation, 5 x 3 views."""

_base_ = './clips.py'

sample = dict(type='DenseSample', clip_len=16, stride=4)
frames = dict(
    type='FrameListDataset',
    data_prefix=dict(img='data/hmdb51'),
    filename_tmpl='img_{:05}.jpg',
    classes='hmdb51',
)
loader = dict(num_workers=8, persistent_workers=True)
policy = dict(type='TimmRandAugment', policy='rand-m5-n2-mstd0.25')
train_dataloader = dict(
    batch_size=16,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='repeat_pseudo_collate'),
    dataset=dict(
        ann_file='data/hmdb51/split1/train.txt',
        num_repeats=2,
        sample=sample,
        pipeline=[policy, *_base_.train_pipeline[1:]],
        **frames,
    ),
    **loader,
)
val_dataloader = dict(
    batch_size=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='data/hmdb51/split1/val.txt',
        test_mode=True,
        sample=dict(test_mode=True, **sample),
        pipeline=_base_.centre_pipeline,
        **frames,
    ),
    **loader,
)
test_dataloader = dict(
    batch_size=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='data/hmdb51/split1/val.txt',
        test_mode=True,
        sample=dict(test_mode=True, num_clips=5, **sample),
        pipeline=_base_.three_crop_pipeline,
        **frames,
    ),
    **loader,
)
