"""The generated demo world: seeded scenes written in the layouts of public datasets."""

from .cache import DemoWorldError, demo_world
from .coco import write_coco
from .scene import Picture, Scene, draw_scene, render, sample_scene
from .thing import CLASSES, Thing

__all__ = [
    'CLASSES',
    'DemoWorldError',
    'Picture',
    'Scene',
    'Thing',
    'demo_world',
    'draw_scene',
    'render',
    'sample_scene',
    'write_coco',
]
