"""UniFormer-S, Kinetics-400, 8 frames spread over 64.

From ImageNet-1K weights. arXiv:2201.04676. Published: top-1 78.4, 70 G multiply-adds
for 4 clips of 224 pixels. 8 GPUs x 16 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
clip = dict(clip_len=8, stride=8)
train_dataloader = dict(batch_size=16, dataset=dict(sample=clip))
val_dataloader = dict(dataset=dict(sample=clip))
test_dataloader = dict(dataset=dict(sample=clip))
train_cfg = dict(max_epochs=100)
optim_wrapper = dict(optimizer=dict(lr=4e-4))
auto_scale_lr = dict(base_batch_size=128)
