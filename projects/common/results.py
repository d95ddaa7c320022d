"""What a run prints at its end: metrics as a table, and where everything is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from projects.common.task import Task


def print_metrics(
    task: Task | None,
    metrics: Mapping[str, Any],
    title: str,
    probes: Mapping[str, float] | None = None,
) -> None:
    """Print the task's own metrics, or all of them where no task is known.

    Args:
        task: of the run, if there is one for it.
        metrics: values by key of the evaluator.
        title: of the table.
        probes: further figures, by title.
    """
    titles = task.metrics if task else {key: key for key in metrics}
    table = Table('metric', 'value', title=title)
    for key, name in titles.items():
        if key in metrics:
            table.add_row(name, f'{float(metrics[key]):.3f}')
    for name, value in (probes or {}).items():
        table.add_row(name, f'{value:.3f}')
    if table.row_count:
        _console().print(table)


def print_places(places: Mapping[str, Any]) -> None:
    """Print one line per thing that was written."""
    width = max(map(len, places), default=0)
    for name, path in places.items():
        if path:
            _console().print(f'{name:<{width}}  {Path(path)}')


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)
