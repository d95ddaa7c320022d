"""UniFormer-XXS, Kinetics-400, 4 frames of the whole video at 160 pixels.

From ImageNet-1K weights of that size. Official release. Published: top-1 65.8,
1.6 G multiply-adds for one view. 4 GPUs x 64 videos.
"""

_base_ = [
    '../_base_/models/uniformer_light_video.py',
    '../_base_/datasets/kinetics400_light.py',
    '../_base_/schedules/video_light_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    backbone=dict(
        layer_scale='all',
        layer_scale_init=0.1,
        init_cfg=dict(
            checkpoint='checkpoints/uniformer_xxs_160_in1k.pth', new_layer_scale=True
        ),
    ),
)
policy = dict(type='TimmRandAugment', policy='rand')
clip = dict(clip_len=4)
train_dataloader = dict(
    batch_size=64, dataset=dict(sample=clip, pipeline=[policy, *_base_.crops.s160])
)
val_dataloader = dict(dataset=dict(sample=clip, pipeline=_base_.centres.s160))
test_dataloader = dict(dataset=dict(sample=clip, pipeline=_base_.centres.s160))
