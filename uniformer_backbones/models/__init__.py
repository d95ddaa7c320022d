"""Models: the arch table and the backbone that OpenMMLab builds from it."""

from uniformer_backbones.models.arch import ARCHS, Arch, find_arch, list_archs
from uniformer_backbones.models.uniformer import UniFormer

__all__ = ['ARCHS', 'Arch', 'UniFormer', 'find_arch', 'list_archs']
