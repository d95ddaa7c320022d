"""UniFormer-XXS, Kinetics-400, 16 frames of the whole video at 160 pixels.

From ImageNet-1K weights of that size. Official release. Published: top-1 75.1,
6.9 G multiply-adds for one view. 8 GPUs x 32 videos.
"""

_base_ = [
    '../_base_/models/uniformer_light_video.py',
    '../_base_/datasets/kinetics400_light.py',
    '../_base_/schedules/video_light_adamw.py',
    '../_base_/video_runtime.py',
]
policy = dict(type='TimmRandAugment', policy='rand-m5-n2-mstd0.25')
clip = dict(clip_len=16)
train_dataloader = dict(
    dataset=dict(sample=clip, pipeline=[policy, *_base_.crops.s160])
)
val_dataloader = dict(dataset=dict(sample=clip, pipeline=_base_.centres.s160))
test_dataloader = dict(dataset=dict(sample=clip, pipeline=_base_.centres.s160))
optim_wrapper = dict(optimizer=dict(lr=8e-4))
