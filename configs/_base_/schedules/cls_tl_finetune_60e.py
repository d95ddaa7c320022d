"""Token labeling at 384 pixels from weights of 224: 60 epochs at one small rate.

512 images a step (L: 256). No average of the weights.
"""

_base_ = './cls_adamw_300e.py'

train_cfg = dict(max_epochs=50 + 10)
param_scheduler = []
optim_wrapper = dict(optimizer=dict(lr=5e-6, weight_decay=1e-8))
custom_hooks = []
auto_scale_lr = dict(base_batch_size=512)
randomness = dict(seed=42)
