"""UniFormer-S, Kinetics-600, 16 frames spread over 64.

From ImageNet-1K weights. arXiv:2201.04676. Published: top-1 82.8, 167 G multiply-adds
for 4 clips of 224 pixels. 8 GPUs x 12 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/kinetics600.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    cls_head=dict(num_classes=600),
    data_preprocessor=dict(mixing=dict(num_classes=600)),
)
train_dataloader = dict(batch_size=12)
optim_wrapper = dict(optimizer=dict(lr=3e-4))
auto_scale_lr = dict(base_batch_size=96)
