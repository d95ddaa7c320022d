"""Draws of an augmentation policy, for the tests of its grammar and of its pixels."""

import random

import numpy as np

from projects.common.randaugment import TimmPolicy

NAMES = [
    'AutoContrast',
    'Equalize',
    'Invert',
    'Rotate',
    'Posterize',
    'Solarize',
    'SolarizeAdd',
    'Color',
    'Contrast',
    'Brightness',
    'Sharpness',
    'ShearX',
    'ShearY',
    'TranslateXRel',
    'TranslateYRel',
]


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  timm draws from the global generator


def draw_many(text, count=400, **kwargs):
    policy = TimmPolicy(text, **kwargs)
    seed_all(0)
    return [policy.draw() for _ in range(count)]
