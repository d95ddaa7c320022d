"""ImageNet, 300 epochs, 1024 images a step, as OpenMixup trains.

The rate changes every step. Norms, biases and position embeddings are free of weight
decay; the average of the weights, without buffers, is what gets validated.
"""

_base_ = './cls_adamw_300e.py'

param_scheduler = [
    dict(
        type='TimmCosineLR',
        total=300,
        warmup=5,
        start_factor=1e-6,
        eta_min=1e-5,
        convert_to_iter_based=True,
    )
]
optim_wrapper = dict(
    type='OptimWrapper',
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(
        _delete_=True,
        custom_keys={
            'norm': dict(decay_mult=0.0),
            'bias': dict(decay_mult=0.0),
            'pos_embed': dict(decay_mult=0.0),
        },
    ),
)
custom_hooks = [dict(type='EMAHook', momentum=1 - 0.99996, evaluate_on_ema=True)]
