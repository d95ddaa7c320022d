"""Top-down heatmaps, UniFormer-B, 448x320, 210 epochs, COCO.

arXiv:2201.09450. Published: AP 77.4, AR 82.5; 29.6 G multiply-adds a person.
8 GPUs x 32 people.
"""

_base_ = './td_hm_uniformer_s_448x320.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.55,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=2e-3 * 256 / 1024))
auto_scale_lr = dict(base_batch_size=256)
