"""mmpose's scope, hooks and visualiser, and what the project registers for poses."""

_base_ = './default_runtime.py'

default_scope = 'mmpose'
custom_imports = dict(imports=['projects.pose'])
default_hooks = dict(
    checkpoint=dict(save_best='coco/AP', rule='greater'),
    visualization=dict(type='PoseVisualizationHook', enable=False),
)
log_processor = dict(num_digits=6)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(
    type='PoseLocalVisualizer', vis_backends=vis_backends, name='visualizer'
)
