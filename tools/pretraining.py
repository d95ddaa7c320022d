"""Measure what image pretraining gives a model of clips.

    python tools/pretraining.py

On the demo clips, for each seed: train an image model on single frames (to tell which
clip a frame is of), inflate it by either rule, train the model of clips from there and
from scratch, and compare the accuracy on held-out clips. Stopped at any time, the same
command goes on. Ends with a table, and the same as csv, json and a picture in the work
dir. See docs/inflation.md.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import RUN_MISTAKES, report_errors
from projects.common.results import print_places
from projects.video.pretraining import Study
from projects.video.pretraining_runs import check_same, run_study
from projects.video.pretraining_table import make_table, write_results

FULL = Study()
# To see it work in a minute; it learns nothing.
QUICK = Study(
    arch='tiny',
    steps=4,
    every=2,
    image_steps=2,
    side=32,
    batch=4,
    image_batch=8,
    num_train=16,
    image_clips=16,
    num_val=8,
)
SIZES = {
    'steps': 'optimizer steps on clips',
    'every': 'steps between two evaluations',
    'image_steps': 'optimizer steps on frames',
    'frames': 'frames of a clip',
    'side': 'pixels of a frame',
    'batch': 'clips of a step',
    'image_batch': 'frames of a step',
    'num_train': 'clips to learn from',
    'image_clips': 'clips whose frames the image model tells apart',
    'num_val': 'held-out clips',
}


def main() -> None:
    """Parse the command line, run what is left of the study, show the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--arch', help=f'of all models (default: {FULL.arch})')
    parser.add_argument(
        '--seeds', nargs='+', type=int, help='default: 0 1 2, with --quick 0'
    )
    for name, what in SIZES.items():
        option = f'--{name.replace("_", "-")}'
        default = getattr(FULL, name)
        parser.add_argument(option, type=int, help=f'{what} (default: {default})')
    parser.add_argument(
        '--lr', type=float, help=f'highest learning rate (default: {FULL.lr})'
    )
    parser.add_argument(
        '--quick', action='store_true', help='tiny sizes, to see it work in a minute'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='default: work_dirs/pretraining, with --quick work_dirs/pretraining_quick',
    )
    parser.add_argument(
        '--debug', action='store_true', help='show tracebacks of user errors'
    )
    args = parser.parse_args()
    seeds = dict.fromkeys(args.seeds or ([0] if args.quick else [0, 1, 2]))
    name = 'pretraining_quick' if args.quick else 'pretraining'
    work_dir = args.work_dir or Path('work_dirs') / name
    given = {key: getattr(args, key) for key in ('arch', 'lr', *SIZES)}
    given = {key: value for key, value in given.items() if value is not None}
    with report_errors(args.debug):
        study = replace(QUICK if args.quick else FULL, **given)
        check_same(study, work_dir)
    with report_errors(args.debug, RUN_MISTAKES, 'stopped; the same command goes on'):
        scores = run_study(study, list(seeds), work_dir)
        console = Console(soft_wrap=True, highlight=False)
        told = sum(scores.image.values()) / len(scores.image)
        console.print(
            f'the image models told {told:.1%} of {study.image_clips} clips by their '
            'middle frame'
        )
        console.print(make_table(scores))
        print_places(write_results(study, scores, work_dir))


if __name__ == '__main__':
    main()
