"""Token labeling, 310 epochs of ImageNet, 1024 images a step.

The rate is absolute, whatever the batch: warm-up 5 epochs, a cosine that ends after
300, 10 more at its end. The average of the weights is validated and kept.
"""

_base_ = './cls_adamw_300e.py'

train_cfg = dict(max_epochs=300 + 10)
param_scheduler = [
    dict(type='TimmCosineLR', total=300, warmup=5, start_lr=1e-6, eta_min=1e-5)
]
optim_wrapper = dict(optimizer=dict(lr=1.6e-3))
custom_hooks = [
    dict(
        type='EMAHook',
        momentum=1 - 0.99992,
        update_buffers=True,
        evaluate_on_ema=True,
        evaluate_on_origin=False,
    )
]
randomness = dict(seed=42)
