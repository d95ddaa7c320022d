"""Checkpoints in between: what a crash costs is minutes, not an epoch."""

import time
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner

MINUTES = 15.0


@HOOKS.register_module()
class TimedCheckpointHook(Hook):
    """Write a checkpoint every few minutes of training, and keep only the newest.

    Beside mmengine's ``CheckpointHook``, which follows epochs: an epoch of Kinetics
    takes hours. The file is called ``iter_N.pth`` and ``--resume`` finds it.

    Args:
        minutes: between two checkpoints.
    """

    priority = 'VERY_LOW'

    def __init__(self, minutes: float = MINUTES) -> None:
        if minutes < 0:
            raise ValueError(f'minutes={minutes}: cannot be negative')
        self.minutes = minutes
        self._saved: Path | None = None
        self._time = 0.0

    def before_train(self, runner: Runner) -> None:
        self._time = time.monotonic()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Save if it is time; only the main process looks at its clock."""
        if not is_main_process():
            return
        if time.monotonic() - self._time < 60 * self.minutes:
            return
        path = Path(runner.work_dir) / f'iter_{runner.iter + 1}.pth'
        if not path.exists():  # by iterations, another hook may have written it
            runner.save_checkpoint(runner.work_dir, path.name, by_epoch=False)
            self._keep(runner, path)
        self._time = time.monotonic()

    def after_train(self, runner: Runner) -> None:
        """The last epoch's own checkpoint makes this one superfluous."""
        if is_main_process():
            self._keep(runner, None)

    def _keep(self, runner: Runner, newest: Path | None) -> None:
        """Remove the others: of earlier runs too, where nothing else is called so."""
        old = [self._saved] if self._saved else []
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            old = list(Path(runner.work_dir).glob('iter_*.pth'))
        for path in old:
            if path != newest:
                path.unlink(missing_ok=True)
        self._saved = newest
