"""The curve of a run, from the log mmengine keeps: loss, learning rate, metrics."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
from numpy import ndarray

# Keys of a log that are not validation metrics.
TIMING_KEYS = frozenset({'step', 'iter', 'epoch', 'time', 'data_time', 'memory', 'lr'})
# The headline numbers of the tasks, plotted when no metrics are named.
HEADLINES = (
    'coco/bbox_mAP_50',
    'coco/segm_mAP_50',
    'coco/bbox_mAP',
    'coco/segm_mAP',
    'coco/AP',
    'mIoU',
    'accuracy/top1',
    'acc/top1',
)


def read_scalars(source: Path | str | Iterable[Mapping[str, Any]]) -> list[dict]:
    """Read the log of a run: mmengine's ``vis_data/scalars.json`` or its records.

    Raises:
        ValueError: a line is not json.
    """
    if not isinstance(source, Path | str):
        return [dict(record) for record in source]
    try:
        lines = Path(source).read_text().splitlines()
        return [json.loads(line) for line in lines if line.strip()]
    except json.JSONDecodeError as error:
        raise ValueError(f'{source} is not a log of json lines: {error}') from error


def read_metrics(records: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple]]:
    """Collect the validation metrics of a log as (iteration, value) points.

    A log by epochs counts its validations in epochs: a point is set where the training
    before it had come to.

    Examples:
        >>> read_metrics([{'loss': 2.0, 'step': 50}, {'mIoU': 30.0, 'step': 1}])
        {'mIoU': [(50, 30.0)]}
    """
    points: dict[str, list[tuple]] = {}
    reached = 0
    for record in records:
        reached = max(reached, record.get('step', 0))
        if 'loss' in record:
            continue
        for key, value in record.items():
            if key not in TIMING_KEYS and isinstance(value, int | float):
                points.setdefault(key, []).append((reached, value))
    return points


def smooth(values: Sequence[float], weight: float = 0.9) -> ndarray:
    """Average a series exponentially, without the bias towards its start.

    Args:
        values: of the series.
        weight: of the past, in [0, 1).

    Examples:
        >>> smooth([2.0, 2.0, 2.0]).tolist()
        [2.0, 2.0, 2.0]
    """
    result, total, norm = [], 0.0, 0.0
    for value in values:
        total = weight * total + (1 - weight) * value
        norm = weight * norm + (1 - weight)
        result.append(total / norm)
    return np.array(result)


def loss_curve(
    scalars: Path | str | Iterable[Mapping[str, Any]],
    out_png: Path | str,
    metrics: Sequence[str] | None = None,
) -> Path:
    """Plot a run: loss, learning rate and validation metrics over the iterations.

    Args:
        scalars: mmengine's ``vis_data/scalars.json``, or its records.
        out_png: file to write.
        metrics: keys to plot; None takes the headline metrics of the tasks.

    Returns:
        ``out_png`` as a path.

    Raises:
        ValueError: the log holds no loss.
    """
    records = read_scalars(scalars)
    train = [record for record in records if 'loss' in record]
    if not train:
        raise ValueError(f'no record with a loss among {len(records)} of the log')
    found = read_metrics(records)
    names = metrics or [name for name in HEADLINES if name in found] or list(found)[:4]
    names = [name for name in names if name in found]

    figure = Figure(figsize=(7.2, 5.6 if names else 3.6), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)  # not pyplot, which keeps every figure in a global
    rows = 2 if names else 1
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    _plot_loss(axes[0], train)
    if names:
        _plot_metrics(axes[1], {name: found[name] for name in names})
    axes[-1].set_xlabel('iteration')
    figure.savefig(out_png)
    return Path(out_png)


def _plot_loss(axis: Any, train: Sequence[Mapping[str, Any]]) -> None:
    steps = [record['step'] for record in train]
    loss = [record['loss'] for record in train]
    axis.plot(steps, loss, color='#9ec5e8', linewidth=1, label='loss')
    # Weight 0.9 suits long logs; a short one would only lag behind.
    weight = min(0.9, 1 - 1 / max(len(loss) / 10, 1.5))
    smoothed = smooth(loss, weight)
    axis.plot(steps, smoothed, color='#1f5f99', linewidth=2, label='smoothed')
    axis.set_yscale('log')
    for locate in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        locate(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    axis.set_ylabel('loss')
    axis.grid(alpha=0.25, which='both')
    lines = axis.get_lines()
    if all('lr' in record for record in train):
        twin = axis.twinx()
        rates = [record['lr'] for record in train]
        lines += twin.plot(steps, rates, color='#d98032', linewidth=1, label='lr')
        twin.set_ylabel('learning rate')
        twin.ticklabel_format(axis='y', style='sci', scilimits=(0, 0))
        twin.set_ylim(bottom=0)
    axis.legend(lines, [line.get_label() for line in lines], loc='upper right')


def _plot_metrics(axis: Any, points: Mapping[str, Sequence[tuple]]) -> None:
    for name, series in points.items():
        steps, values = zip(*series, strict=True)
        axis.plot(steps, values, marker='o', markersize=5, linewidth=1, label=name)
    axis.set_ylabel('validation')
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.25)
    axis.legend(loc='lower right')
