"""Distributed training without CUDA: gloo processes on the CPU.

mmengine's launcher always selects a CUDA device and always passes device ids to DDP;
both are decided here before its Runner is built. GPU runs keep mmengine's own path.
"""

import os

import torch
from mmengine.config import Config


def use_gloo_on_cpu(cfg: Config) -> None:
    """Prepare a config for ``torchrun`` on a machine without CUDA; else do nothing."""
    if cfg.launcher == 'none' or torch.cuda.is_available():
        return
    if 'RANK' in os.environ and not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    cfg.setdefault(
        'model_wrapper_cfg',
        {
            'type': 'MMDistributedDataParallel',
            'device_ids': None,
            'broadcast_buffers': False,
            'find_unused_parameters': cfg.get('find_unused_parameters', False),
        },
    )
    _replace_sync_bn(cfg.model)


def _replace_sync_bn(node: object) -> None:
    """SyncBN has no CPU implementation; plain BatchNorm takes its place."""
    if isinstance(node, dict):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
        node = list(node.values())
    if isinstance(node, list | tuple):
        for child in node:
            _replace_sync_bn(child)
