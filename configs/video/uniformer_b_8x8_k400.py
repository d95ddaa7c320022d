"""UniFormer-B, Kinetics-400, 8 frames spread over 64.

From ImageNet-1K weights. arXiv:2201.04676. Published: top-1 79.8, 161 G multiply-adds
for 4 clips of 224 pixels. 8 GPUs x 8 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    ),
)
clip = dict(clip_len=8, stride=8)
train_dataloader = dict(batch_size=8, dataset=dict(sample=clip))
val_dataloader = dict(dataset=dict(sample=clip))
test_dataloader = dict(dataset=dict(sample=clip))
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
auto_scale_lr = dict(base_batch_size=64)
