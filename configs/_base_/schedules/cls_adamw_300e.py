"""ImageNet, 300 epochs, 1024 images a step: AdamW and a cosine, as released.

The rate is set after each epoch, so it lags one: epochs 0 and 1 run at 1e-6. All 1-D
parameters are free of weight decay; position embeddings are convolutions and decayed.
The average of the weights is only stored: the raw weights are validated and kept.
"""

lr = 5e-4 * 1024 / 512
max_epochs = 300
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = [
    dict(
        type='TimmCosineLR',
        total=max_epochs,
        warmup=5,
        start_lr=1e-6,
        eta_min=1e-5,
        lag=1,
    )
]
optim_wrapper = dict(
    type='AmpOptimWrapper',
    constructor='LayerDecayConstructor',
    optimizer=dict(
        type='AdamW', lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05
    ),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0, flat_decay_mult=0.0),
)
custom_hooks = [dict(type='StoredEMAHook', momentum=1 - 0.99996, update_buffers=True)]
auto_scale_lr = dict(enable=False, base_batch_size=1024)
