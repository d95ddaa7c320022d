"""Puts the fallback operators where ``mmcv.ops`` looks for its compiled extension.

mmcv-lite is mmcv without ``mmcv._ext``, and ``mmcv.ops`` (hence mmdet, mmseg and
mmaction's detection parts) cannot be imported without that module. A compiled mmcv
always wins: then nothing is replaced.
"""

import importlib.util
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

EXTENSION = 'mmcv._ext'


def install_mmcv_ops() -> None:
    """Register the fallback as ``mmcv._ext``, unless mmcv is compiled or absent."""
    if EXTENSION in sys.modules:
        return
    mmcv = importlib.util.find_spec('mmcv')
    if mmcv is None or mmcv.submodule_search_locations is None:
        return
    # PathFinder looks into the folder without importing mmcv (and OpenCV with it).
    spec = PathFinder.find_spec(EXTENSION, list(mmcv.submodule_search_locations))
    if spec is None or not _load_compiled(spec):
        sys.modules[EXTENSION] = make_fallback_module()


def make_fallback_module() -> ModuleType:
    """Return a module that answers like ``mmcv._ext``, from torch and torchvision.

    The operators are imported at the first look-up, because torchvision takes a
    second to import and most programs never touch an operator.
    """
    module = ModuleType(EXTENSION, 'Fallback of mmcv-lite by uniformer_backbones.')
    # find_spec raises ValueError on a module in sys.modules without a spec.
    module.__spec__ = ModuleSpec(EXTENSION, None, origin=f'{__package__}.mmcv_ops')
    # mmcv's loader asserts hasattr() for every operator it has ever had, so an unknown
    # name must be found; calling it is what fails (PEP 562).
    module.__dict__['__getattr__'] = _look_up
    return module


def _look_up(name: str) -> Callable[..., Any]:
    if name.startswith('_'):  # what the import machinery and inspect ask any module
        raise AttributeError(f'module {EXTENSION!r} has no attribute {name!r}')
    from .mmcv_ops import find_op

    return find_op(name)


def _load_compiled(spec: ModuleSpec) -> bool:
    """Import the extension by itself; False when it does not fit this PyTorch."""
    if spec.loader is None:
        return False
    try:
        # Creating a binary module already loads its library, which is what fails when
        # it was built for another PyTorch.
        module = importlib.util.module_from_spec(spec)
        sys.modules[EXTENSION] = module
        spec.loader.exec_module(module)
    except (ImportError, OSError) as error:
        sys.modules.pop(EXTENSION, None)
        warnings.warn(
            f'the compiled {EXTENSION} cannot be loaded, using the torchvision '
            f'fallback; rebuild mmcv for this PyTorch ({error})',
            stacklevel=4,
        )
        return False
    return True
