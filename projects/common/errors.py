"""A user's mistake is one clear line and exit code 2; a traceback is for --debug."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config.utils import ConfigParsingError
from rich.console import Console

MISTAKES = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OSError,
    ImportError,
    NotImplementedError,
    ConfigParsingError,
)

# In the middle of a run TypeError and the like are bugs, and show their traceback.
RUN_MISTAKES = (ValueError, KeyError, OSError)


class UserError(ValueError):
    """What the user can mend; the message names the file or setting, and the fix."""


class LoadingError(UserError):
    """A mistake that a data loader's worker may find, in the middle of a run.

    A data loader raises a worker's error anew with the worker's traceback as its text;
    of that the last line, the message, is kept.
    """

    def __init__(self, text: str) -> None:
        line = text.strip().rsplit('\n', 1)[-1]
        super().__init__(line.rsplit(f'{type(self).__name__}: ', 1)[-1])


@contextmanager
def report_errors(
    debug: bool,
    mistakes: tuple[type[Exception], ...] = MISTAKES,
    interrupted: str = 'stopped',
) -> Iterator[None]:
    """Turn a mistake into a message on stderr and exit code 2.

    Args:
        debug: let the traceback through instead.
        mistakes: what counts as the user's mistake here; while a config is read and a
            model is built that is wide, in the middle of a training run narrow.
        interrupted: what to say after Ctrl-C.

    Raises:
        SystemExit: with code 2 for a mistake, 130 after an interrupt.
    """
    try:
        yield
    except KeyboardInterrupt:
        if debug:
            raise
        _say(interrupted)
        sys.exit(130)
    except mistakes as error:
        if debug:
            raise
        hint = '' if isinstance(error, UserError) else ' (--debug shows where)'
        _say(f'error: {describe(error)}{hint}')
        sys.exit(2)


def describe(error: Exception) -> str:
    """Text of an error without the class and file prefixes that registries add."""
    text = (
        str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    )
    text = re.sub(r'class `\w+` in [\w./]+\.py: ', '', text).strip()
    if isinstance(error, UserError):
        return text
    text = ' '.join(text.split())
    if isinstance(error, FileNotFoundError) and error.filename:
        return f'{error.filename}: no such file'
    return text or type(error).__name__


def _say(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(text)
