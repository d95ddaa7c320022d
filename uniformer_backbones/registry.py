"""One child registry of mmengine's ``MODELS``; its scope is the package name.

mmengine imports this module itself when a config says
``type='uniformer_backbones.UniFormer'``, whatever the default scope is.
"""

from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import Registry

MODELS = Registry(
    'uniformer backbone',
    parent=MMENGINE_MODELS,
    scope='uniformer_backbones',
    locations=['uniformer_backbones.models'],
)
