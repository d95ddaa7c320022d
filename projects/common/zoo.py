"""The model zoo: published numbers of the metafiles, and what we measure beside them.

``configs/<task>/metafile.yml`` (OpenMMLab's model index) has one entry per published
row. Figures are kept as text: their number of digits says how they were rounded.
"""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from projects.common.errors import UserError
from projects.common.task import datasets, transforms

ROOT = Path(__file__).resolve().parents[2]
TASKS = {  # folder: title, library
    'cls': ('classification', 'mmpretrain'),
    'video': ('video recognition', 'mmaction2'),
    'det': ('detection', 'mmdet'),
    'seg': ('segmentation', 'mmseg'),
    'pose': ('pose', 'mmpose'),
}
STATUSES = ('untrained', 'converted', 'reproduced')
# Settings of a model that change neither its parameters nor its cost.
FREE = ('init_cfg', 'drop_path_rate', 'with_cp', 'train_cfg', 'test_cfg', 'frozen')
PARAMS_TOLERANCE, FLOPS_TOLERANCE = 0.01, 0.02


@dataclass(frozen=True)
class Row:
    """One published row.

    Attributes:
        task: folder of ``configs/``.
        name: of the row; that of its config but for rows that share one.
        config: path from the root of the project.
        dataset: what it was trained on.
        source: who published it.
        status: one of ``STATUSES``.
        params: published parameters in millions, as printed; ``None`` if not printed.
        flops: published multiply-adds in billions, likewise.
        metrics: published results by the names of OpenMMLab; empty for our own rows.
        notes: ``Parameters`` or ``FLOPs``: why the published figure is not met.
    """

    task: str
    name: str
    config: str
    dataset: str
    source: str
    status: str
    params: str | None
    flops: str | None
    metrics: Mapping[str, str]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Measured:
    """Parameters of a config's model, and multiply-adds of all views of an input."""

    params: int
    flops: int


def read_rows(root: Path = ROOT) -> list[Row]:
    """Read every metafile.

    Raises:
        UserError: a metafile is missing or an entry lacks something.
    """
    return [row for task in TASKS for row in read_metafile(root, task)]


def read_metafile(root: Path, task: str) -> list[Row]:
    """Read the rows of one task, in the order of its metafile.

    Raises:
        UserError: as of :func:`read_rows`.
    """
    path = Path('configs') / task / 'metafile.yml'
    try:
        text = (root / path).read_text('utf-8')
        # Scalars stay text: 24.0 is not 24.
        models = yaml.load(text, yaml.BaseLoader)['Models']
        return [_row(task, entry) for entry in models]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f'{path}: {type(error).__name__}: {error}') from error


def _row(task: str, entry: Mapping[str, Any]) -> Row:
    data = entry['Metadata']
    return Row(
        task,
        entry['Name'],
        entry['Config'],
        data['Training Data'],
        data['Source'],
        data['Status'],
        data.get('Parameters (M)'),
        data.get('FLOPs (G)'),
        {
            name: value
            for part in entry.get('Results', [])
            for name, value in part['Metrics'].items()
        },
        data.get('Notes', {}),
    )


def leaves(root: Path = ROOT) -> list[str]:
    """Paths of all leaves, from the root of the project."""
    found = [path for task in TASKS for path in (root / 'configs' / task).glob('*.py')]
    return sorted(str(path.relative_to(root)) for path in found)


def views(cfg: Config) -> int:
    """Clips times crops of a test of a video; 1 for everything else."""
    if cfg.default_scope != 'mmaction':
        return 1
    [dataset] = datasets(cfg, 'test')
    crops = [step['type'] for step in transforms(dataset.pipeline)]
    return dataset.sample.get('num_clips', 1) * (3 if 'ThreeCrop' in crops else 1)


def measure_all(configs: Iterable[str], root: Path, jobs: int) -> dict[str, Measured]:
    """Measure configs at the inputs of their tests; equal models are measured once.

    Args:
        configs: paths from the root.
        root: of the project.
        jobs: processes.

    Returns:
        What was measured, by config.

    Raises:
        UserError: a config cannot be read or run.
    """
    wanted = sorted(configs)
    # Neighbours share models, and a process remembers those that it has measured.
    shares = [[str(root / name) for name in wanted[job::jobs]] for job in range(jobs)]
    if jobs == 1:
        found = [_measure_share(shares[0])]
    else:
        with ProcessPoolExecutor(jobs, get_context('spawn')) as pool:
            found = list(pool.map(_measure_share, shares))
    return {name: found[at % jobs][at // jobs] for at, name in enumerate(wanted)}


def _measure_share(paths: list[str]) -> list[Measured]:
    """Measure some configs in this process."""
    import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
    from projects.common.complexity import measure
    from projects.common.input_size import default_size
    from projects.common.options import read_config

    known, found = {}, []
    for path in paths:
        cfg = read_config(path)
        size = default_size(cfg)
        key = json.dumps([_without(cfg.model, FREE), size], default=str)
        if key not in known:
            known[key] = measure(cfg, size)
        found.append(Measured(known[key].params, known[key].flops * views(cfg)))
    return found


def _without(node: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(node, dict):
        return {k: _without(v, keys) for k, v in node.items() if k not in keys}
    return [_without(v, keys) for v in node] if isinstance(node, list) else node


def gap(value: float, published: str, tolerance: float) -> str:
    """How a measured figure stands to a published one.

    Returns:
        ``'met'`` within the tolerance, ``'rounded'`` if only within half of the last
        digit that was printed, ``'missed'``.
    """
    number = Decimal(published)
    off = abs(Decimal(value) - number)
    if off <= Decimal(tolerance) * number:
        return 'met'
    half = Decimal(5).scaleb(number.as_tuple().exponent - 1)
    return 'rounded' if off <= half else 'missed'


def gaps(row: Row, found: Measured) -> dict[str, str]:
    """:func:`gap` of each figure that a row has."""
    told = {
        'Parameters': (found.params / 1e6, row.params, PARAMS_TOLERANCE),
        'FLOPs': (found.flops / 1e9, row.flops, FLOPS_TOLERANCE),
    }
    return {
        name: gap(value, published, tolerance)
        for name, (value, published, tolerance) in told.items()
        if published is not None
    }


def check_measured(rows: Iterable[Row], found: Mapping[str, Measured]) -> list[str]:
    """Differences between measured and published figures that no note explains."""
    lines = []
    for row in rows:
        if row.config not in found:
            continue
        stand = gaps(row, found[row.config])
        for name, how in stand.items():
            if (how == 'missed') == (name in row.notes):
                continue
            mine = found[row.config]
            value = mine.flops if name == 'FLOPs' else mine.params
            what = 'and no note says why' if how == 'missed' else 'a note denies it'
            lines.append(
                f'{_metafile(row)}: {row.name}: {name} {how}, {what}: measured {value}'
            )
    return lines


def check_rows(rows: list[Row], root: Path) -> list[str]:
    """Differences between metafiles and configs."""
    lines = []
    own = set(leaves(root))
    names = [f'{row.task}/{row.name}' for row in rows]
    lines += [f'{name}: twice in its metafile' for name in _twice(names)]
    for row in rows:
        if row.config not in own:
            lines.append(f'{_metafile(row)}: {row.name}: {row.config}: no such config')
        if row.status not in STATUSES:
            lines.append(f'{_metafile(row)}: {row.name}: status {row.status!r}')
        for text in (row.params, row.flops, *row.metrics.values()):
            if text is not None and not _is_number(text):
                lines.append(f'{_metafile(row)}: {row.name}: {text!r} is no number')
    missing = own - {row.config for row in rows}
    return lines + [f'{path}: is in no metafile' for path in sorted(missing)]


def _metafile(row: Row) -> str:
    return f'configs/{row.task}/metafile.yml'


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
