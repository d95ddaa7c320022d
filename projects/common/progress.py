"""What a person sees while a run goes on: a progress bar, or plain lines in a file.

The log file always holds everything; only the console is made readable.
"""

import logging

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

# Lines that mmengine repeats for every parameter, or that only its authors can act on.
NOISE = (
    'paramwise_options --',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
    'Hooks will be executed in the following order',
    'System environment:',
    'Failed to search registry',
    'is not in the `Hook` registry',
    'Config:\n',
)


class QuietFilter(logging.Filter):
    """Keep the lines of :data:`NOISE` away from a console."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is worth a person's attention."""
        message = record.getMessage()
        return not any(noise in message for noise in NOISE)


def console_handlers(logger: logging.Logger) -> list[logging.Handler]:
    """Handlers of a logger that write to a console."""
    return [
        handler
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler)
        and not isinstance(handler, logging.FileHandler)
    ]


def quiet_console(logger: logging.Logger) -> None:
    """Keep noise away from the console; the log file still has it."""
    for handler in console_handlers(logger):
        if not any(isinstance(item, QuietFilter) for item in handler.filters):
            handler.addFilter(QuietFilter())


class ProgressHook(Hook):
    """A bar with loss and remaining time when a person looks on; nothing otherwise.

    While the bar is shown, the console keeps to warnings.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.console = Console()
        self.progress: Progress | None = None

    def before_train(self, runner: Runner) -> None:
        """Show the bar from where the run starts or resumes."""
        if not (self.console.is_terminal and is_main_process()):
            return
        self.handlers = console_handlers(runner.logger)
        for handler in self.handlers:
            handler.setLevel(logging.WARNING)
        self.progress = Progress(
            TextColumn('[bold]{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn('{task.fields[loss]}'),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.progress.start()
        self.bar = self.progress.add_task(
            'train', total=runner.max_iters, completed=runner.iter, loss=''
        )

    def after_train_iter(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Advance, with the loss of this step."""
        if self.progress is None:
            return
        loss = runner.message_hub.get_scalar('train/loss').current()
        self.progress.update(
            self.bar, completed=runner.iter + 1, loss=f'loss {loss:.3f}'
        )

    def before_val_epoch(self, runner: Runner) -> None:
        """Say that the model is being evaluated."""
        self._describe('evaluate')

    def after_val_epoch(self, runner: Runner, *args: object, **kwargs: object) -> None:
        """Say that training goes on."""
        self._describe('train')

    def _describe(self, text: str) -> None:
        if self.progress is not None:
            self.progress.update(self.bar, description=text)

    def stop(self) -> None:
        """Remove the bar; called however the run ends."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
            for handler in self.handlers:
                handler.setLevel(logging.INFO)

    def after_train(self, runner: Runner) -> None:
        """Remove the bar."""
        self.stop()
