"""ImageNet, 600 epochs, 4096 images a step, in float32, as released for XXS.

As the 300 epochs of the larger models, but for what is said here. The rate lags one
epoch, the class token is not decayed, and raw and averaged weights are both validated;
the best of the raw ones is kept.
"""

_base_ = './cls_adamw_300e.py'

lr = 4e-4 * 4096 / 512
max_epochs = 600
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(
        type='TimmCosineLR',
        total=max_epochs,
        warmup=30,
        start_lr=1e-6,
        eta_min=1e-5,
        lag=1,
    )
]
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(lr=lr, weight_decay=0.1),
    paramwise_cfg=dict(custom_keys={'cls_token': dict(decay_mult=0.0)}),
)
custom_hooks = [
    dict(
        type='EMAHook',
        momentum=1 - 0.9999,
        update_buffers=True,
        evaluate_on_ema=True,
        evaluate_on_origin=True,
    )
]
auto_scale_lr = dict(base_batch_size=4096)
