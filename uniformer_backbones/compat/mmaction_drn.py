"""A stand-in for the folder that the mmaction2 1.2.0 wheel forgot to ship.

``mmaction/models/localizers/__init__.py`` imports ``.drn.drn.DRN``, but the wheel has
no ``drn`` folder, so ``import mmaction.models`` fails for every user of every model.
"""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = 'mmaction.models.localizers.drn'


class DRN:
    """Name of the missing model; building it fails with the remedy.

    Raises:
        NotImplementedError: always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            'DRN is missing from the mmaction2 wheel: install mmaction2 from source'
        )


def install_drn_stub() -> None:
    """Register the stand-in, only where mmaction is installed without the folder.

    The entries go into ``sys.modules`` directly. Python looks there before it searches
    the parent package, so nothing of mmaction is imported until somebody asks for it.
    """
    mmaction = importlib.util.find_spec('mmaction')  # does not import it
    if mmaction is None or FOLDER in sys.modules:
        return
    for root in mmaction.submodule_search_locations or ():
        if (Path(root) / 'models' / 'localizers' / 'drn').is_dir():
            return
    package, module = _module(FOLDER), _module(f'{FOLDER}.drn')
    package.__path__ = []  # what makes it a package: it may have submodules
    package.__dict__['drn'] = module
    module.__dict__['DRN'] = DRN
    sys.modules.update({FOLDER: package, f'{FOLDER}.drn': module})


def _module(name: str) -> ModuleType:
    module = ModuleType(name, 'Stand-in by uniformer_backbones.')
    module.__spec__ = ModuleSpec(name, None, origin=__name__)
    return module
