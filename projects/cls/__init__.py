"""Classification on mmpretrain: what a config's ``custom_imports`` registers."""

# First: the OpenMMLab wheels need it.
import uniformer_backbones  # noqa: F401
from projects.cls import (
    augment,
    ema,
    light_head,
    preprocessor,
    token_classifier,
    token_head,
    token_transforms,
)
from projects.common import layer_decay, timm_cosine

__all__ = [
    'augment',
    'ema',
    'layer_decay',
    'light_head',
    'preprocessor',
    'timm_cosine',
    'token_classifier',
    'token_head',
    'token_transforms',
]
