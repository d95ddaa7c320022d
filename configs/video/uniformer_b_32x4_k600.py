"""UniFormer-B, Kinetics-600, 32 frames spread over 128.

From ImageNet-1K weights. arXiv:2201.04676. Published: top-1 84.5, 1036 G
multiply-adds for 4 clips of 224 pixels. 4 nodes x 8 GPUs x 4 videos: all three rates
are four times those of one node. The paper reports 84.8.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/kinetics600.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    ),
    cls_head=dict(num_classes=600),
    data_preprocessor=dict(mixing=dict(num_classes=600)),
)
clip = dict(clip_len=32)
train_dataloader = dict(dataset=dict(sample=clip))
val_dataloader = dict(dataset=dict(sample=clip))
test_dataloader = dict(dataset=dict(sample=clip))
param_scheduler = dict(start_lr=4e-6, final_lr=4e-6)
optim_wrapper = dict(optimizer=dict(lr=4e-4))
auto_scale_lr = dict(base_batch_size=128)
