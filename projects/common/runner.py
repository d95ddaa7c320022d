"""The Runner of every tool: its checkpoints survive ``kill -9``."""

import os
import re
import time
import zipfile
from pathlib import Path
from textwrap import shorten
from typing import Any

from mmengine.dist import is_main_process
from mmengine.logging import MMLogger, print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch import nn

from projects.common.errors import UserError
from projects.common.loops import RESUMABLE
from projects.common.progress import quiet_console
from projects.common.weights import load_published
from uniformer_backbones.compat.checkpoint import read_checkpoint


class DurableRunner(Runner):
    """mmengine's Runner: checkpoints written and loaded whole, a readable console."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """The logger, with noise kept for its file."""
        logger = super().build_logger(*args, **kwargs)
        quiet_console(logger)
        return logger

    def build_train_loop(self, loop: BaseLoop | dict[str, Any]) -> BaseLoop:
        """The loops of mmengine, able to go on in the middle of an epoch."""
        if isinstance(loop, dict):
            loop = dict(loop)
            if 'by_epoch' in loop:
                by_epoch = loop.pop('by_epoch')
                loop['type'] = f'{"Epoch" if by_epoch else "Iter"}BasedTrainLoop'
            loop['type'] = RESUMABLE.get(loop['type'], loop['type'])
        return super().build_train_loop(loop)

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Load everything, then leave out what was trained on already."""
        super().resume(filename, *args, **kwargs)
        if hasattr(self.train_loop, 'go_on'):
            self.train_loop.go_on(self._randomness_cfg.get('seed'))

    def _init_model_weights(self) -> None:
        """Initialize, unless a checkpoint brings everything: then no file is needed."""
        if not (self._resume and self._load_from):
            super()._init_model_weights()

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        """Write beside the final name, then rename, which cannot be interrupted."""
        partial = f'{filename}.partial'
        super().save_checkpoint(out_dir, partial, *args, **kwargs)
        if is_main_process():
            os.replace(Path(out_dir) / partial, Path(out_dir) / filename)

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> Any:
        """Load; a run that resumes or tests takes every tensor or none.

        A test takes published files too.

        Raises:
            UserError: the checkpoint is of another model.
        """
        if self._train_loop is None:
            checkpoint, model = read_checkpoint(filename), self._inner_model()
            if load_published(model, checkpoint, filename):
                checkpoint = {'state_dict': model.state_dict()}
                self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
                self._has_loaded = True
                return checkpoint
        if self._resume or self._train_loop is None:
            kwargs['strict'] = True
        try:
            return super().load_checkpoint(filename, *args, **kwargs)
        except RuntimeError as error:
            first, *others = [line for line in str(error).splitlines() if line][1:]
            more = f' (and {len(others)} more)' if others else ''
            raise UserError(
                f'{filename}: is of another model than this config: '
                f'{shorten(first, 160)}{more}'
            ) from error

    def _inner_model(self) -> nn.Module:
        model = self.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        return model


def keep_earlier_run(work_dir: Path) -> None:
    """Move the checkpoints of an earlier run aside instead of overwriting them."""
    if newest_checkpoint(work_dir) is None:
        return
    aside = work_dir / f'earlier_{time.strftime("%Y%m%d_%H%M%S")}'
    aside.mkdir()
    for path in (*work_dir.glob('*.pth'), *work_dir.glob('last_checkpoint')):
        path.rename(aside / path.name)
    print_log(
        f'{work_dir} holds an earlier run: its checkpoints are now in {aside}; '
        '--resume would have continued it',
        logger='current',
    )


def is_complete(path: Path) -> bool:
    """Whether a checkpoint was written to its end (its archive has a directory)."""
    return path.is_file() and zipfile.is_zipfile(path)


def newest_checkpoint(folder: Path) -> Path | None:
    """Complete checkpoint of a work dir that is furthest on; ``None`` if it has none.

    ``last_checkpoint`` is not trusted: a crash can leave it empty or pointing at a file
    that is gone.
    """
    steps = [
        (int(match[1]), path)
        for path in folder.glob('*.pth')
        if (match := re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name))
    ]
    steps.sort(key=lambda pair: (pair[1].stat().st_mtime, pair[0]), reverse=True)
    return next((path for _, path in steps if is_complete(path)), None)
