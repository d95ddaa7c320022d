"""Top-down heatmaps, UniFormer-S, 256x192, 210 epochs, COCO.

arXiv:2201.09450. Published: AP 74.0, AR 79.5; 4.7 G multiply-adds a person.
8 GPUs x 128 people.
"""

_base_ = [
    '../_base_/models/td_hm_uniformer.py',
    '../_base_/datasets/coco_pose.py',
    '../_base_/schedules/pose_adamw_210e.py',
    '../_base_/pose_runtime.py',
]

model = dict(head=dict(decoder=_base_.codec))
