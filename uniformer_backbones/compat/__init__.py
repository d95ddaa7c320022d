"""What today's PyTorch needs of the OpenMMLab wheels, in one call.

Three gaps are closed, each in its own file and each only where it exists: the
compiled operators that mmcv-lite lacks (``mmcv_ext``, ``mmcv_ops``), a folder
missing from the mmaction2 wheel (``mmaction_drn``), and checkpoints that PyTorch's
restricted unpickler refuses or that would run text stored in them (``checkpoint``).
"""

import warnings

from .checkpoint import install_checkpoint_loader, read_checkpoint
from .mmaction_drn import install_drn_stub
from .mmcv_ext import install_mmcv_ops

__all__ = ['install', 'read_checkpoint']


def install() -> None:
    """Close the gaps; safe to call again, imports no OpenMMLab task library.

    It has to run before ``mmcv.ops`` or a checkpoint is first used, in every process:
    the package's import calls it, so DataLoader workers and DDP ranks repeat it.
    """
    # mmengine imports it anew whenever a config inherits from a library's; what it says
    # is for mmengine's authors.
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')
    install_mmcv_ops()
    install_drn_stub()
    install_checkpoint_loader()
