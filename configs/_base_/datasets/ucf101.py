"""UCF101, split 1: dense clips as of Kinetics, milder augmentation, 5 x 3 views."""

_base_ = './kinetics400.py'

videos = dict(data_prefix=dict(video='data/ucf101'), classes='ucf101', delimiter=' ')
policy = dict(type='TimmRandAugment', policy='rand-m5-n2-mstd0.25')
train_dataloader = dict(
    batch_size=16,
    dataset=dict(
        ann_file='data/ucf101/split1/train.csv',
        pipeline=[policy, *_base_.train_pipeline[1:]],
        **videos,
    ),
)
val_dataloader = dict(dataset=dict(ann_file='data/ucf101/split1/val.csv', **videos))
test_dataloader = dict(
    batch_size=1,
    dataset=dict(
        ann_file='data/ucf101/split1/test.csv',
        sample=dict(num_clips=5),
        pipeline=_base_.three_crop_pipeline,
        **videos,
    ),
)
