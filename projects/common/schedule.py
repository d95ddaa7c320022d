"""The learning-rate schedule of the official video and image recipes."""

import math
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(LRSchedulerMixin, _ParamScheduler):
    """Linear warm-up and cosine decay between absolute rates, updated every step.

    One scheduler with its rates in the units of the recipes, in place of a chain whose
    factors depend on the base rate: a config that changes ``lr`` changes nothing else.
    With e epochs done, W of warm-up and E in all:
    ``start + (lr - start) e / W`` before W, then
    ``final + (lr - final) (1 + cos(pi (e - W) / (E - W))) / 2``.

    Args:
        optimizer: whose groups' initial rates are the base rates.
        warmup: epochs of warm-up, W.
        end: epochs in all, E; the run's own unless given.
        start_lr: rate of the first step.
        final_lr: rate at the end.
        epoch_length: steps of an epoch; what a Runner fills in where the config has
            ``convert_to_iter_based=True``.
        by_epoch: change after epochs instead of steps.
        **kwargs: of mmengine's schedulers.

    Raises:
        ValueError: the warm-up is as long as the run.

    Source:
        recipe of the official video code (``lr_policy.py``).
    """

    def __init__(
        self,
        optimizer: OptimWrapper,
        warmup: float,
        end: float,
        start_lr: float = 1e-6,
        final_lr: float = 1e-6,
        epoch_length: int = 1,
        by_epoch: bool = True,
        **kwargs: Any,
    ) -> None:
        if not 0 <= warmup < end:
            raise ValueError(f'warmup={warmup} epochs: the run has only {end}')
        self.warmup, self.epochs = warmup, end
        self.start_lr, self.final_lr = start_lr, final_lr
        self.epoch_length = epoch_length
        super().__init__(optimizer, by_epoch=by_epoch, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, epoch_length: int, by_epoch: bool = True, **kwargs: Any
    ) -> 'WarmupCosineLR':
        """Build one that is stepped after every iteration."""
        return cls(*args, epoch_length=epoch_length, by_epoch=False, **kwargs)

    def _get_value(self) -> list[float]:
        epoch = self.last_step / self.epoch_length
        return [self.rate(base, epoch) for base in self.base_values]

    def rate(self, base: float, epoch: float) -> float:
        """Learning rate of a group of some base rate after so many epochs."""
        if epoch < self.warmup:
            return self.start_lr + (base - self.start_lr) * epoch / self.warmup
        share = min((epoch - self.warmup) / (self.epochs - self.warmup), 1)
        return self.final_lr + (base - self.final_lr) * (
            (1 + math.cos(math.pi * share)) / 2
        )
