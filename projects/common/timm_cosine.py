"""The cosine with warm-up of the recipes, in closed form.

mmengine chains ``LinearLR`` and ``CosineAnnealingLR``, whose cosine starts where the
warm-up ends; timm's and OpenMixup's count it from the start of training. The official
trainer also sets the rate one epoch late, and token labeling cools down at the end.
"""

import math
from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class TimmCosineLR(_ParamScheduler):
    """Linear warm-up, a cosine counted from step 0, then a constant cooldown.

    A layer-wise decayed group has its own top rate; ``eta_min`` and ``start_lr`` are
    the same for all groups, as in timm.

    Args:
        optimizer: optimizer or wrapper.
        total: epochs of the cosine, the warm-up among them. A longer run goes on at
            ``eta_min``: the cooldown.
        warmup: epochs of the warm-up.
        start_lr: rate at step 0, as in timm: the warm-up leads straight to the top.
        start_factor: share of the cosine at step 0, as in mmcv 1: the warm-up
            multiplies the cosine. Either this or ``start_lr``.
        eta_min: rate at the end.
        lag: epochs that the rate is late, during which it stays at its first value.
        by_epoch: change after each epoch, not after each step.
        last_step: of a run to resume without a state dict.
        verbose: print every change.
        begin: first epoch; others than 0 are for schedulers that follow one another.
        end: epoch after which the rate stays as it is.

    Raises:
        ValueError: not exactly one of ``start_lr`` and ``start_factor`` is given, or
            ``warmup`` is not shorter than ``total``.

    Source:
        timm 0.4.12 ``CosineLRScheduler``; mmcv 1 ``CosineAnnealingLrUpdaterHook``.
    """

    def __init__(
        self,
        optimizer: Any,
        total: int,
        warmup: int = 0,
        start_lr: float | None = None,
        start_factor: float | None = None,
        eta_min: float = 0.0,
        lag: int = 0,
        by_epoch: bool = True,
        last_step: int = -1,
        verbose: bool = False,
        begin: int = 0,
        end: int = INF,
    ) -> None:
        if (start_lr is None) == (start_factor is None):
            raise ValueError('TimmCosineLR: give start_lr or start_factor, not both')
        if not 0 <= warmup < total:
            raise ValueError(
                f'TimmCosineLR: warmup must be shorter than total={total}, got {warmup}'
            )
        self.total, self.warmup, self.lag = total, warmup, lag
        self.start_lr, self.start_factor = start_lr, start_factor
        self.eta_min = eta_min
        super().__init__(
            optimizer, 'lr', begin, end, last_step, by_epoch, verbose=verbose
        )

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, epoch_length: int, by_epoch: bool = True, **kwargs: Any
    ) -> 'TimmCosineLR':
        """Make it change every step, with all lengths still given in epochs."""
        for name in ('total', 'warmup', 'lag', 'begin', 'end'):
            if name in kwargs and kwargs[name] != INF:
                kwargs[name] = round(kwargs[name] * epoch_length)
        return cls(*args, by_epoch=False, **kwargs)

    def value_at(self, step: int, top: float) -> float:
        """Give the rate at a step for a group whose top rate is ``top``."""
        step = max(step - self.lag, 0)
        turn = math.pi * min(step / self.total, 1.0)
        cosine = self.eta_min + (top - self.eta_min) * (1 + math.cos(turn)) / 2
        if step >= self.warmup:
            return cosine
        share = step / self.warmup
        if self.start_lr is not None:
            return self.start_lr + (top - self.start_lr) * share
        return cosine * (1 - (1 - share) * (1 - self.start_factor))

    def _get_value(self) -> list[float]:
        return [self.value_at(self.last_step, top) for top in self.base_values]
