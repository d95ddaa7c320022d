"""The light models of clips: as the larger ones, but in float32 and validated often.

The released code calls its light models float32 and yet computes their attention in
float16; here they are float32 throughout. The class token is decayed, as released.
"""

_base_ = './video_adamw.py'

train_cfg = dict(val_interval=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=4e-4, weight_decay=0.1))
# Videos a step over all GPUs, each of them augmented twice.
auto_scale_lr = dict(base_batch_size=256)
