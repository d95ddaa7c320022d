"""Semantic FPN, 80000 iterations of 32 images: AdamW, cosine to next to nothing.

Everything is decayed, norms and biases too, as released.
"""

max_iters = 80000
lr = 2e-4
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=4000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
# Both from the first iteration: the warm-up is a factor on the cosine.
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=1000),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-8 * lr,
        by_epoch=False,
        begin=0,
        end=max_iters,
        T_max=max_iters,
    ),
]
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='AdamW', lr=lr, weight_decay=1e-4)
)
auto_scale_lr = dict(enable=False, base_batch_size=32)
