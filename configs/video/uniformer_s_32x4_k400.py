"""UniFormer-S, Kinetics-400, 32 frames spread over 128.

From ImageNet-1K weights. arXiv:2201.04676. Published: top-1 82.0, 438 G multiply-adds
for 4 clips of 224 pixels. 8 GPUs x 4 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
clip = dict(clip_len=32)
train_dataloader = dict(dataset=dict(sample=clip))
val_dataloader = dict(dataset=dict(sample=clip))
test_dataloader = dict(dataset=dict(sample=clip))
