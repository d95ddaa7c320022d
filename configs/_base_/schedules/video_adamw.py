"""AdamW, 10 epochs of warm-up and a cosine over the rest of 110.

Vectors are free of weight decay: norms, biases, layer scale of images.
"""

train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=110, val_interval=5)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
param_scheduler = dict(
    type='WarmupCosineLR',
    warmup=10,
    start_lr=1e-6,
    final_lr=1e-6,
    convert_to_iter_based=True,
)
optim_wrapper = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05),
    clip_grad=dict(max_norm=20),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, flat_decay_mult=0),
)
randomness = dict(seed=6666)
# Videos a step, each of them augmented twice, on 8 GPUs.
auto_scale_lr = dict(enable=False, base_batch_size=32)
