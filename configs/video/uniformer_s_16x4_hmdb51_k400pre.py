"""UniFormer-S, HMDB51 (split 1), 16 frames spread over 64.

From Kinetics-400 weights. arXiv:2201.04676. Published: top-1 77.5, 625 G
multiply-adds for 5 clips x 3 crops of 224 pixels. 8 GPUs x 16 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/hmdb51.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
model = dict(
    backbone=dict(
        drop_path_rate=0.2,
        init_cfg=dict(
            checkpoint='checkpoints/uniformer_small_k400_16x4.pth', inflate=None
        ),
    ),
    cls_head=dict(num_classes=51),
    data_preprocessor=dict(mixing=dict(num_classes=51)),
)
train_cfg = dict(max_epochs=25, val_interval=1)
param_scheduler = dict(warmup=5)
optim_wrapper = dict(optimizer=dict(lr=5e-5))
auto_scale_lr = dict(base_batch_size=128)
