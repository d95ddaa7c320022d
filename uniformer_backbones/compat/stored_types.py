"""What an mmengine checkpoint holds beyond tensors, for PyTorch's unpickler.

Each entry answers to the name that stands in the pickle. Where the real object could
do more than hold data, a restricted stand-in answers for it. Above all
``builtins.getattr``, which HistoryBuffer's and OneCycleLR's methods are pickled with:
allowing it itself, as the error message suggests, lets a file reach any object.
"""

from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from pickle import UnpicklingError
from typing import Any, TypeVar

import numpy as np
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

# Boolean, integer and floating point: what logs, scores and key point tables are.
NUMBER_CODES = '?bBhHiIlLqQefd'
Named = TypeVar('Named', bound=Callable[..., Any])


def _answers_to(module: str, name: str) -> Callable[[Named], Named]:
    """Give an object the name that the unpickler looks up.

    PyTorch before 2.6 knows no other way; later versions also take pairs.
    """

    def rename(thing: Named) -> Named:
        thing.__module__, thing.__name__, thing.__qualname__ = module, name, name
        return thing

    return rename


@_answers_to('mmengine.logging.history_buffer', 'HistoryBuffer')
class _StoredHistory(HistoryBuffer):
    """A HistoryBuffer that takes only its numbers from the file.

    The original also takes its statistics methods from there, for all buffers of the
    process, and calls them later.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = {key: state[key] for key in ('_log_history', '_count_history')}
        if not all(isinstance(value, np.ndarray) for value in kept.values()):
            raise UnpicklingError('refused a HistoryBuffer without arrays')
        self.__dict__.update(kept, max_length=int(state['max_length']))
        self._set_default_statistics()
        self.__class__ = HistoryBuffer  # type: ignore[assignment]


@_answers_to(OneCycleParamScheduler.__module__, 'OneCycleParamScheduler')
def _one_cycle(*args: Any) -> None:
    """Stand for the class as the owner of its two curves; it is never built."""
    raise UnpicklingError('refused to build a OneCycleParamScheduler')


@_answers_to('builtins', 'getattr')
def _getattr(owner: Any, name: Any, *default: Any) -> Any:
    """Return one of the methods that mmengine stores, refuse all else."""
    if owner is _StoredHistory and name in ('min', 'max', 'mean', 'current'):
        return None  # the statistics, which _StoredHistory leaves out anyway
    if owner is _one_cycle and name in ('_annealing_cos', '_annealing_linear'):
        return getattr(OneCycleParamScheduler, name)
    raise UnpicklingError(f'refused getattr of {name!r}')


@_answers_to('mmengine.config.config', 'ConfigDict')
def _config_dict(items: dict[str, Any]) -> ConfigDict:
    """Rebuild a nested entry of dataset_meta that came from a config."""
    if type(items) is not dict:
        raise UnpicklingError('refused a ConfigDict of something else than a dict')
    return ConfigDict(items)


@_answers_to('numpy', 'dtype')
def _dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    """Rebuild the dtype of numbers; an object dtype would hold any object."""
    if isinstance(code, str) and np.dtype(code).char in NUMBER_CODES:
        # Always a copy: the file sets the state of what it gets.
        return np.dtype(code, False, True)
    raise UnpicklingError(f'refused numpy.dtype({code!r})')


def _multiarray() -> Any:
    """Return numpy's module of that name, which numpy 2 moved."""
    try:
        return import_module('numpy._core.multiarray')
    except ImportError:
        return import_module('numpy.core.multiarray')


def _reconstruct(kind: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    if kind is not np.ndarray:
        raise UnpicklingError(f'refused an array of {kind!r}')
    array: np.ndarray[Any, Any] = _multiarray()._reconstruct(kind, shape, code)
    return array


def _scalar(dtype: Any, value: Any) -> Any:
    if not (isinstance(dtype, np.dtype) and dtype.char in NUMBER_CODES):
        raise UnpicklingError(f'refused a numpy scalar of {dtype!r}')
    return _multiarray().scalar(dtype, value)


@_answers_to('builtins', 'bytes')
def _no_bytes() -> bytes:
    """Stand for bytes(), which is how the data of an empty array are written."""
    return b''


def _numpy_functions() -> list[Callable[..., Any]]:
    """Both names of the module: files of either numpy are read by either."""
    found: list[Callable[..., Any]] = []
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        found.append(_alias(_reconstruct, module, '_reconstruct'))
        found.append(_alias(_scalar, module, 'scalar'))
    return found


def _alias(function: Callable[..., Any], module: str, name: str) -> Callable[..., Any]:
    @_answers_to(module, name)
    def call(*args: Any) -> Any:
        return function(*args)

    return call


# The classes are there for their state (the BUILD opcode asks for the type).
# argparse.Namespace holds the arguments in checkpoints of DeiT-like training scripts.
STORED_TYPES: tuple[Any, ...] = (
    _StoredHistory,
    _one_cycle,
    _getattr,
    _config_dict,
    _dtype,
    _no_bytes,
    *_numpy_functions(),
    np.ndarray,
    *sorted({type(np.dtype(code)) for code in NUMBER_CODES}, key=str),
    Namespace,
)
