"""Make the tables of the model zoo, or check them.

    python tools/model_zoo.py            # README.md and docs/model_zoo.md
    python tools/model_zoo.py --check    # exit 1 and a line for each difference

Published numbers come from configs/<task>/metafile.yml; parameters and multiply-adds of
every config are measured each time, which takes a few minutes and needs no data. A
figure that is not met (parameters 1 %, multiply-adds 2 %) needs a note in the metafile.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from projects.common.errors import report_errors
from projects.common.zoo import (
    ROOT,
    TASKS,
    Row,
    check_measured,
    check_rows,
    measure_all,
    read_rows,
)
from projects.common.zoo_tables import PAGE, README, check_page, compare, fill


def main() -> None:
    """Parse the command line, measure, write or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--check', action='store_true', help='write nothing')
    parser.add_argument('--jobs', type=int, default=2, help='processes (default: 2)')
    parser.add_argument('--root', type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument(
        '--debug', action='store_true', help='show tracebacks of user errors'
    )
    args = parser.parse_args()
    with report_errors(args.debug):
        lines = run(args.root, max(args.jobs, 1), args.check)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in lines:
        console.print(line)
    sys.exit(1 if lines else 0)


def run(root: Path, jobs: int, check: bool) -> list[str]:
    """Make or check the tables; a line for each difference that is left."""
    rows = read_rows(root)
    lines = check_rows(rows, root)
    if lines:
        return lines
    found = measure_all({row.config for row in rows}, root, jobs)
    lines = check_measured(rows, found) + check_pages(rows, root)
    for path in (README, PAGE):
        old = (root / path).read_text('utf-8')
        new = fill(old, rows, found)
        if check:
            lines += compare(path, old, new)
        else:
            (root / path).write_text(new, 'utf-8')
    return lines


def check_pages(rows: list[Row], root: Path) -> list[str]:
    """Differences in the tables of the tasks' own pages."""
    lines = []
    for task in TASKS:
        path = Path('configs') / task / 'README.md'
        text = (root / path).read_text('utf-8') if (root / path).is_file() else ''
        lines += check_page(path, text, [row for row in rows if row.task == task])
    return lines


if __name__ == '__main__':
    main()
