"""mmpretrain's scope, visualiser and the classification parts of this project."""

_base_ = './default_runtime.py'

default_scope = 'mmpretrain'
custom_imports = dict(imports=['projects.cls'])
default_hooks = dict(checkpoint=dict(save_best='accuracy/top1', rule='greater'))
visualizer = dict(
    type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')]
)
