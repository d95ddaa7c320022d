"""mmaction2's scope, the project's transforms, what happens to broken videos."""

_base_ = './default_runtime.py'

default_scope = 'mmaction'
custom_imports = dict(
    imports=['projects.video', 'projects.common.schedule'],
    allow_failed_imports=False,
)
default_hooks = dict(
    checkpoint=dict(save_best='acc/top1', rule='greater'),
    # A video that cannot be read is replaced and listed; a tenth of them ends the run.
    faults=dict(type='VideoFaultHook', max_share=0.1),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='ActionVisualizer', vis_backends=vis_backends)
