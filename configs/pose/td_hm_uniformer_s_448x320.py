"""Top-down heatmaps, UniFormer-S, 448x320, 210 epochs, COCO.

arXiv:2201.09450. Published: AP 76.2, AR 81.4; 14.8 G multiply-adds a person.
8 GPUs x 64 people.
"""

_base_ = [
    '../_base_/models/td_hm_uniformer.py',
    '../_base_/datasets/coco_pose_448x320.py',
    '../_base_/schedules/pose_adamw_210e.py',
    '../_base_/pose_runtime.py',
]

model = dict(head=dict(decoder=_base_.codec))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(optimizer=dict(lr=2e-3 * 512 / 1024))
auto_scale_lr = dict(base_batch_size=512)
