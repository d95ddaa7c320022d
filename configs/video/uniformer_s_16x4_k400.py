"""UniFormer-S, Kinetics-400, 16 frames spread over 64.

From ImageNet-1K weights. arXiv:2201.04676. Published: top-1 80.8, 167 G multiply-adds
for 4 clips of 224 pixels. 8 GPUs x 4 videos.
"""

_base_ = [
    '../_base_/models/uniformer_video.py',
    '../_base_/datasets/kinetics400.py',
    '../_base_/schedules/video_adamw.py',
    '../_base_/video_runtime.py',
]
