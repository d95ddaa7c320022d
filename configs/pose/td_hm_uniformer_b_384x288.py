"""Top-down heatmaps, UniFormer-B, 384x288, 210 epochs, COCO.

arXiv:2201.09450. Published: AP 76.7, AR 81.4; 14.8 G multiply-adds a
person, a slip: that is the figure of S at 448x320, ours counts 22.
8 GPUs x 32 people.
"""

_base_ = './td_hm_uniformer_s_384x288.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.5,
        init_cfg=dict(checkpoint='checkpoints/uniformer_base_in1k.pth'),
    )
)
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(optimizer=dict(lr=2e-3 * 256 / 1024))
auto_scale_lr = dict(base_batch_size=256)
