"""Published weights: reading official files, inflating images to clips."""

from uniformer_backbones.weights.identity import Identity, identify
from uniformer_backbones.weights.inflation import inflate_kernel, inflate_state_dict
from uniformer_backbones.weights.official import LoadReport, load_official

__all__ = [
    'Identity',
    'LoadReport',
    'identify',
    'inflate_kernel',
    'inflate_state_dict',
    'load_official',
]
