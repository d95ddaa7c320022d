"""What every task shares: logging, checkpoints that survive a crash, environment."""

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # Two, so that one complete checkpoint exists at every moment.
    checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
    timed_checkpoint=dict(type='TimedCheckpointHook', minutes=15),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=True)
log_level = 'INFO'
load_from = None
resume = False
