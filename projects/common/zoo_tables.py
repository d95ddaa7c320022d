"""Tables of the model zoo in README.md and docs, between markers.

<!-- zoo: NAME -->
(made by tools/model_zoo.py)
<!-- /zoo -->
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from projects.common.zoo import TASKS, Measured, Row, gaps

# Metrics worth a column, with their titles; the metafiles hold them all.
COLUMNS = {
    'cls': {'Top 1 Accuracy': 'top-1 (%)'},
    'video': {'Top 1 Accuracy': 'top-1 (%)'},
    'det': {'box AP': 'box AP', 'mask AP': 'mask AP'},
    'seg': {'mIoU': 'mIoU (%)', 'mIoU(ms+flip)': 'multi-scale'},
    'pose': {'AP': 'AP', 'AR': 'AR'},
}
COST_OF = {
    'cls': 'one image',
    'video': 'all views of a video',
    'det': 'one image of 800x1280',
    'seg': 'one image of 512x2048',
    'pose': 'one person',
}
PAGE, README = Path('docs/model_zoo.md'), Path('README.md')
BLOCK = re.compile(r'(<!-- zoo: (\w+) -->\n)(.*?)(<!-- /zoo -->)', re.S)
# Headings of hand-written tables, without units, and the figure that each announces.
HEADINGS = {
    'params': 'params',
    'multiply-adds': 'flops',
    'top-1': 'Top 1 Accuracy',
    'box AP': 'box AP',
    'mask AP': 'mask AP',
    'mIoU': 'mIoU',
    'multi-scale': 'mIoU(ms+flip)',
    'AP': 'AP',
    'AP50': 'AP@0.5',
    'AP75': 'AP@0.75',
    'AR': 'AR',
    'status': 'status',
}


def render(name: str, rows: list[Row], found: Mapping[str, Measured]) -> str:
    """Markdown of one table.

    Args:
        name: ``'summary'`` or a task.
        rows: all of the zoo.
        found: what was measured.

    Raises:
        KeyError: there is no such table.
    """
    if name == 'summary':
        return _summary(rows)
    return _task_table([row for row in rows if row.task == name], found, name)


def fill(text: str, rows: list[Row], found: Mapping[str, Measured]) -> str:
    """A page with its tables made anew."""

    def block(match: re.Match[str]) -> str:
        return f'{match[1]}{render(match[2], rows, found)}{match[4]}'

    return BLOCK.sub(block, text)


def compare(path: Path, old: str, new: str) -> list[str]:
    """One line for each line of a page that differs."""
    before, after = old.splitlines(), new.splitlines()
    lines = [f'{path}: should be: {line}' for line in after if line not in set(before)]
    lines += [f'{path}: is wrong: {line}' for line in before if line not in set(after)]
    if not lines and before != after:
        lines.append(f'{path}: lines in another order; make zoo')
    return lines


def check_page(path: Path, text: str, rows: Iterable[Row]) -> list[str]:
    """Figures of hand-written tables that differ from the metafile.

    Args:
        path: of the page, for the message.
        text: of the page; a row of a table is known by its link to a config.
        rows: of the page's task.
    """
    by_config: dict[str, list[Row]] = {}
    for row in rows:
        by_config.setdefault(Path(row.config).name, []).append(row)
    lines, seen, headings = [], set(), []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if not line.startswith('|'):
            headings = []
        elif not headings:
            headings = cells
        elif link := re.search(r'\]\((\w+\.py)\)', line):
            seen.add(link[1])
            known = by_config.get(link[1], [])
            if not any(_agrees(headings, cells, row) for row in known):
                lines.append(f'{path}: differs from metafile.yml: {line}')
    published = {name for name, own in by_config.items() if any(r.metrics for r in own)}
    missing = sorted(published - seen)
    return lines + [f'{path}: no table has {name}' for name in missing]


def _agrees(headings: list[str], cells: list[str], row: Row) -> bool:
    for heading, cell in zip(headings, cells, strict=False):
        name = HEADINGS.get(heading.partition(' (')[0], '')
        wanted = row.metrics.get(name) or getattr(row, name, None)
        if wanted is None:
            continue
        number = re.match(r'\d+(\.\d+)?', cell)
        same = Decimal(number[0]) == Decimal(wanted) if number else cell == wanted
        if not same:
            return False
    return True


def _summary(rows: list[Row]) -> str:
    lines = [
        '| task | library | leaves | published | ours | status |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for task, (title, library) in TASKS.items():
        own = [row for row in rows if row.task == task]
        metric, heading = next(iter(COLUMNS[task].items()))
        values = sorted(Decimal(r.metrics[metric]) for r in own if metric in r.metrics)
        span = f'{values[0]}-{values[-1]} {heading}'
        statuses = [row.status for row in own]
        told = ', '.join(
            f'{statuses.count(s)} {s}' if len(set(statuses)) > 1 else s
            for s in dict.fromkeys(statuses)
        )
        reproduced = statuses.count('reproduced')
        leaves = len({row.config for row in own})
        ours = f'{reproduced} rows' if reproduced else 'not trained yet'
        link = f'[{title}](configs/{task}/README.md)'
        lines.append(_line([link, library, str(leaves), span, ours, told]))
    return '\n'.join(lines) + '\n'


def _task_table(rows: list[Row], found: Mapping[str, Measured], task: str) -> str:
    columns = COLUMNS[task]
    titles = [
        'row',
        'data',
        'params (M), published',
        'measured',
        f'G multiply-adds of {COST_OF[task]}, published',
        'measured',
        *columns.values(),
        'status',
        'notes',
    ]
    lines = [_line(titles), _line(['---'] * len(titles))]
    notes: dict[str, int] = {}
    for row in rows:
        mine = found[row.config]
        marks = [
            f'[{notes.setdefault(text, len(notes) + 1)}]' for text in row.notes.values()
        ]
        if 'rounded' in gaps(row, mine).values():
            marks.append('r')
        lines.append(
            _line(
                [
                    f'[{row.name}](../{row.config})',
                    row.dataset,
                    row.params or '-',
                    figure(mine.params / 1e6),
                    row.flops or '-',
                    figure(mine.flops / 1e9),
                    *(row.metrics.get(name, '-') for name in columns),
                    row.status,
                    ' '.join(marks),
                ]
            )
        )
    told = [f'- [{number}] {text}' for text, number in notes.items()]
    return '\n'.join([*lines, '', *told, ''] if told else [*lines, ''])


def figure(value: float) -> str:
    """Four digits, and no more than three behind the point."""
    digits = max(0, min(3, 3 - len(str(int(value))) + (value < 1) + 1))
    return f'{value:.{digits}f}'


def _line(cells: Iterable[str]) -> str:
    return f'| {" | ".join(cells)} |'
