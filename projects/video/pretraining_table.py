"""The result of the pretraining study: a table, numbers as files, a picture."""

import csv
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.table import Table

from projects.common.world.clips import CLIP_CLASSES
from projects.video.pretraining import Study
from projects.video.pretraining_runs import Scores, write_json

CHANCE = 1 / len(CLIP_CLASSES)
COLORS = {'scratch': '#7f7f7f', 'center': '#1f5f99', 'average': '#d98032'}


def summarise(scores: Scores) -> dict[str, dict[int, tuple[float, float]]]:
    """Mean and sample standard deviation over the seeds, by start and step.

    Examples:
        >>> summarise(Scores({}, {'center': {0: {50: 0.25}, 1: {50: 0.75}}}))
        {'center': {50: (0.5, 0.3535533905932738)}}
    """
    summary: dict[str, dict[int, tuple[float, float]]] = {}
    for start, runs in scores.clips.items():
        summary[start] = {}
        for step in next(iter(runs.values())):
            values = [run[step] for run in runs.values()]
            spread = stdev(values) if len(values) > 1 else 0.0
            summary[start][step] = (mean(values), spread)
    return summary


def make_table(scores: Scores) -> Table:
    """Table of held-out accuracy: a row for each start, a column for each step."""
    summary = summarise(scores)
    seeds = len(scores.image)
    steps = list(next(iter(summary.values())))
    title = f'held-out accuracy, {seeds} seed{"s" * (seeds > 1)}, chance {CHANCE:.3f}'
    table = Table('start', *(f'{step} steps' for step in steps), title=title)
    for start, row in summary.items():
        spread = (f' ± {row[step][1]:.3f}' if seeds > 1 else '' for step in steps)
        cells = (f'{row[step][0]:.3f}' for step in steps)
        table.add_row(start, *(a + b for a, b in zip(cells, spread, strict=True)))
    return table


def write_results(study: Study, scores: Scores, work_dir: Path) -> dict[str, Path]:
    """Write ``pretraining.csv``, ``.json`` and ``.png`` into the work dir.

    Returns:
        What each file holds, and its path.
    """
    paths = {
        'every run': work_dir / 'pretraining.csv',
        'summary': work_dir / 'pretraining.json',
        'curves': work_dir / 'pretraining.png',
    }
    with paths['every run'].open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['start', 'seed', 'step', 'accuracy'])
        writer.writerows(_rows(scores))
    summary = {
        start: {
            step: {'mean': value, 'stdev': spread}
            for step, (value, spread) in row.items()
        }
        for start, row in summarise(scores).items()
    }
    content = {
        'settings': asdict(study),
        'chance': CHANCE,
        'image accuracy by seed': dict(scores.image),
        'accuracy': summary,
    }
    write_json(paths['summary'], content)
    draw_curves(scores, paths['curves'])
    return paths


def _rows(scores: Scores) -> Iterator[tuple[str, int, int, float]]:
    for start, runs in scores.clips.items():
        for seed, run in runs.items():
            for step, accuracy in run.items():
                yield start, seed, step, accuracy


def draw_curves(scores: Scores, path: Path) -> None:
    """Draw the mean over the seeds, with the range from the worst to the best."""
    figure = Figure(figsize=(6.4, 4), dpi=120, layout='constrained')
    FigureCanvasAgg(figure)  # not pyplot, which keeps every figure in a global
    axis = figure.subplots()
    for start, row in summarise(scores).items():
        runs, steps = scores.clips[start].values(), list(row)
        axis.plot(
            steps,
            [row[step][0] for step in steps],
            color=COLORS[start],
            marker='o',
            label=start,
        )
        axis.fill_between(
            steps,
            [min(run[step] for run in runs) for step in steps],
            [max(run[step] for run in runs) for step in steps],
            color=COLORS[start],
            alpha=0.15,
        )
    axis.axhline(CHANCE, color='#bbbbbb', linestyle=':', label='chance')
    axis.set_xlabel('steps on clips')
    axis.set_ylabel('held-out accuracy')
    axis.set_ylim(0, 1)
    axis.grid(alpha=0.25)
    axis.legend(loc='best')
    figure.savefig(path)
