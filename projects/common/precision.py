"""Mixed precision for every task, on a GPU or a CPU.

mmengine's ``AmpOptimWrapper`` refuses to be built without CUDA. bfloat16 needs no loss
scaler, so a plain wrapper with autocast serves both devices.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, OPTIM_WRAPPERS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from projects.common.errors import UserError

NO_FP16 = '--amp fp16 needs a GPU; on a CPU use --amp bf16'


@OPTIM_WRAPPERS.register_module()
class BF16OptimWrapper(OptimWrapper):
    """Optimizer wrapper whose forward pass runs under bfloat16 autocast."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Gradient accumulation of the base class, and autocast."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


@HOOKS.register_module()
class Float32LossHook(Hook):
    """Compute the loss of a head in float32.

    The heads of mmaction2 and mmpose turn scores into NumPy arrays for their training
    accuracy, and NumPy has no bfloat16.
    """

    def before_train(self, runner: Runner) -> None:
        """Wrap ``loss`` of the model's head, once."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        for name in ('cls_head', 'head'):
            head = getattr(model, name, None)
            if head is not None and 'loss' not in vars(head):
                head.loss = _in_float32(head.loss)


def _raised(value: Any) -> Any:
    floating = isinstance(value, Tensor) and value.is_floating_point()
    return value.float() if floating else value


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def loss(feats: Any, *args: Any, **kwargs: Any) -> Any:
        feats = tree_map(_raised, feats)
        device = next(
            t for t in torch.utils._pytree.tree_leaves(feats) if isinstance(t, Tensor)
        ).device.type
        with torch.autocast(device, enabled=False):
            return function(feats, *args, **kwargs)

    return loss


@HOOKS.register_module()
class AutocastTestHook(Hook):
    """Test with the backbone under autocast; by itself mmengine tests in float32.

    Necks and heads stay in float32: evaluators turn what they give into NumPy arrays,
    which know no bfloat16.

    Args:
        dtype: ``'bfloat16'`` or ``'float16'``.
    """

    def __init__(self, dtype: str) -> None:
        self.dtype = getattr(torch, dtype)

    def before_test(self, runner: Runner) -> None:
        """Wrap ``forward`` of the model's backbone, once."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if 'forward' not in vars(model.backbone):
            device = next(model.parameters()).device.type
            inside = torch.autocast(device, self.dtype)(model.backbone.forward)
            model.backbone.forward = lambda x: tree_map(_raised, inside(x))


def use_test_precision(cfg: Config, amp: str | None) -> None:
    """Evaluate in mixed precision if ``--amp`` says so.

    Raises:
        UserError: fp16 was asked for without CUDA.
    """
    if amp is None:
        return
    if amp == 'fp16' and not torch.cuda.is_available():
        raise UserError(NO_FP16)
    hook = {
        'type': 'AutocastTestHook',
        'dtype': {'bf16': 'bfloat16', 'fp16': 'float16'}[amp],
    }
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), hook]


def apply_precision(cfg: Config, amp: str | None) -> None:
    """Choose the optimizer wrapper for ``--amp`` and the machine.

    A config that asks for float16 (as the official recipes do) runs in float32 on a
    machine without CUDA, and says so.

    Raises:
        UserError: fp16 was asked for without CUDA.
    """
    wrapper = cfg.get('optim_wrapper')
    if wrapper is None:
        return
    cuda = torch.cuda.is_available()
    if amp == 'fp16' and not cuda:
        raise UserError(NO_FP16)
    if amp == 'bf16':
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
        wrapper['type'] = 'BF16OptimWrapper'
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), {'type': 'Float32LossHook'}]
    elif amp == 'fp16':
        wrapper['type'] = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
    elif wrapper.get('type') == 'AmpOptimWrapper' and not cuda:
        wrapper['type'] = 'OptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
        print_log(
            "no GPU: the config's float16 training runs in float32 "
            '(or choose --amp bf16)',
            logger='current',
        )
