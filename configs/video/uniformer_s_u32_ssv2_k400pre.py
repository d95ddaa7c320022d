"""UniFormer-S, Something-Something V2, 32 frames of the whole clip.

From Kinetics-400 weights. arXiv:2201.04676. Published: top-1 69.0, 329 G
multiply-adds for 3 crops of 224 pixels. 8 GPUs x 4 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/sthv2.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    backbone=dict(
        drop_path_rate=0.3,
        init_cfg=dict(
            checkpoint='checkpoints/uniformer_small_k400_16x4.pth', inflate=None
        ),
    ),
    cls_head=dict(num_classes=174),
    data_preprocessor=dict(mixing=dict(num_classes=174)),
)
clip = dict(clip_len=32)
train_dataloader = dict(dataset=dict(sample=clip))
val_dataloader = dict(dataset=dict(sample=clip))
test_dataloader = dict(dataset=dict(sample=clip))
train_cfg = dict(max_epochs=50)
param_scheduler = dict(warmup=5)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
randomness = dict(seed=0)
