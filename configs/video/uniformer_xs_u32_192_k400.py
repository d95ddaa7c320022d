"""UniFormer-XS, Kinetics-400, 32 frames of the whole video at 192 pixels.

From ImageNet-1K weights of that size. Official release. Published: top-1 78.6,
34.2 G multiply-adds for one view. 8 GPUs x 16 videos.
"""

_base_ = [
    '../_base_/models/uniformer_light_video.py',
    '../_base_/datasets/kinetics400_light.py',
    '../_base_/schedules/video_light_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    backbone=dict(
        arch='xs',
        drop_path_rate=0.1,
        init_cfg=dict(checkpoint='checkpoints/uniformer_xs_192_in1k.pth'),
    ),
    cls_head=dict(in_channels=512),
)
policy = dict(type='TimmRandAugment', policy='rand-m7-n4-mstd0.5-inc1')
clip = dict(clip_len=32)
train_dataloader = dict(
    batch_size=16, dataset=dict(sample=clip, pipeline=[policy, *_base_.crops.s192])
)
val_dataloader = dict(dataset=dict(sample=clip, pipeline=_base_.centres.s192))
test_dataloader = dict(dataset=dict(sample=clip, pipeline=_base_.centres.s192))
optim_wrapper = dict(optimizer=dict(weight_decay=0.05))
auto_scale_lr = dict(base_batch_size=128)
