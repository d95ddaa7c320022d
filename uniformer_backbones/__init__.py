"""UniFormer for OpenMMLab 2.x: one backbone for images and clips."""

from uniformer_backbones import compat

# Before anything imports mmcv.ops, or mmengine loads a checkpoint.
compat.install()

from uniformer_backbones.models import UniFormer, list_archs  # noqa: E402
from uniformer_backbones.registry import MODELS  # noqa: E402
from uniformer_backbones.weights import inflate_state_dict, load_official  # noqa: E402

__version__ = '0.1.0'

__all__ = [
    'MODELS',
    'UniFormer',
    '__version__',
    'inflate_state_dict',
    'list_archs',
    'load_official',
]
