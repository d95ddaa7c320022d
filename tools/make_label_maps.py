"""Make label maps, for token labeling on your own data, with a classifier you have.

    python tools/make_label_maps.py CONFIG CHECKPOINT --data FOLDER

writes FOLDER/label_maps/CLASS/IMAGE.pt for every image of FOLDER/train (or of FOLDER),
which is where tools/train.py --data FOLDER looks for them with a token-labeling config.
Maps that are there already are kept: run it again after an interruption.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.cls.label_map import TOP
from projects.cls.map_maker import (
    MapReport,
    default_side,
    load_classifier,
    make_label_maps,
    training_images,
)
from projects.cls.token_folder import FOLDER
from projects.common.errors import report_errors
from projects.common.options import (
    base_parser,
    check_device,
    positive,
    read_config,
)

SHOWN = 10  # unreadable images that are named on the screen


def main() -> None:
    """Parse the command line, make the maps, say what was done."""
    parser = base_parser(__doc__, checkpoint=True)
    add_options(parser)
    args = parser.parse_args()
    with report_errors(args.debug, interrupted='stopped; run it again to go on'):
        check_device(args.device)
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options)
        folder = Path(args.data)
        out = Path(args.out) if args.out else folder / FOLDER
        files = training_images(folder, out)
        model = load_classifier(cfg, args.checkpoint, args.device)
        report = make_label_maps(
            model,
            files,
            out,
            args.side or default_side(cfg),
            args.top,
            args.batch_size,
            args.workers,
            track,
        )
        show(report, out)
    sys.exit(1 if report.unreadable else 0)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options beside config and checkpoint."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser.add_argument('--data', required=True, metavar='FOLDER', help='images')
    parser.add_argument('--out', metavar='DIR', help='default: FOLDER/label_maps')
    parser.add_argument(
        '--side',
        type=positive,
        help='pixels that images are squeezed to (default: twice the test crop); '
        'a map has side / 32 places along each side',
    )
    parser.add_argument(
        '--top',
        type=positive,
        default=TOP,
        help=f'classes of a place (default: {TOP})',
    )
    parser.add_argument('--batch-size', type=positive, default=16)
    parser.add_argument('--workers', type=int, default=2, help='reading processes')
    parser.add_argument('--device', default=device)


def track(batches: Iterable[Any], total: int) -> Iterable[Any]:
    """Progress bar over batches."""
    columns = '{task.description}', BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeRemainingColumn(), console=_console()) as bar:
        yield from bar.track(batches, total=total, description='label maps')


def show(report: MapReport, out: Path) -> None:
    """Print what was written, kept and left out."""
    _console().print(f'{out}: {report.written} maps written, {report.kept} kept')
    if report.unreadable:
        _console().print(f'{len(report.unreadable)} images cannot be read:')
        for line in report.unreadable[:SHOWN]:
            _console().print(f'  {line}')


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False, markup=False)


if __name__ == '__main__':
    main()
