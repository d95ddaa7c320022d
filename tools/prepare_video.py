"""Lists for the configs from a video data set as it was downloaded, every file checked.

python tools/prepare_video.py kinetics400 data/kinetics400

What goes where is in projects/video/DATA.md. Broken files are left out of the lists and
named in FOLDER/prepare_report.txt.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import report_errors
from projects.video.prepare import SOURCES, Check, Report, extract, prepare

T = TypeVar('T')
SHOWN = 10  # broken files that are named on the screen


def main() -> None:
    """Parse the command line, extract if asked to, check, write, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('dataset', choices=sorted(SOURCES))
    parser.add_argument(
        'folder', nargs='?', type=Path, help='its folder (default: data/DATASET)'
    )
    parser.add_argument('--out', type=Path, help='folder for the lists (default: same)')
    parser.add_argument(
        '--labels-in',
        default='',
        metavar='LIST',
        help='list that numeric labels of your annotations are in, e.g. '
        'k400_alphabetical (default: the order of the released checkpoints)',
    )
    parser.add_argument(
        '--extract', action='store_true', help='first extract frames into FOLDER/frames'
    )
    parser.add_argument(
        '--quick', action='store_true', help='files need only exist and open'
    )
    parser.add_argument(
        '--strict', action='store_true', help='no lists if anything is broken; exit 2'
    )
    parser.add_argument(
        '--jobs', type=int, default=0, help='processes (default: cores)'
    )
    parser.add_argument(
        '--debug', action='store_true', help='show tracebacks of user errors'
    )
    args = parser.parse_args()
    folder = args.folder or Path('data') / args.dataset
    with report_errors(args.debug):
        if args.extract:
            show_broken(extract(args.dataset, folder, args.jobs, track))
        report = prepare(
            args.dataset,
            folder,
            args.out,
            args.labels_in,
            args.quick,
            args.strict,
            args.jobs,
            track,
        )
        show(report)


def track(results: Iterator[T], total: int, title: str) -> Iterator[T]:
    """Progress bar over an iterator."""
    columns = '{task.description}', BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=_console()) as bar:
        yield from bar.track(results, total=total, description=title)


def show(report: Report) -> None:
    """Print what was written and what is broken."""
    for path, count in report.lists.items():
        _console().print(f'{path}  {count} lines')
    frames = sorted(check.frames for check in report.checks if check.frames)
    if frames:
        middle = frames[len(frames) // 2]
        _console().print(f'frames: {frames[0]} to {frames[-1]}, median {middle}')
    show_broken(report.checks)
    if report.broken:
        _console().print(f'all of them: {report.path}')


def show_broken(checks: list[Check]) -> None:
    """Print the number of broken files by kind, and the first of them."""
    broken = [check for check in checks if check.kind]
    kinds = sorted({check.kind for check in broken})
    text = ', '.join(f'{sum(c.kind == kind for c in broken)} {kind}' for kind in kinds)
    _console().print(f'{len(checks)} checked, {len(broken)} broken: {text or "none"}')
    for check in broken[:SHOWN]:
        _console().print(f'  {check.kind}: {check.name} ({check.what})')


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)


if __name__ == '__main__':
    main()
