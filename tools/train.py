"""Train a model from a config.

    python tools/train.py configs/det/mask_rcnn_uniformer_s.py --demo
is a short run on generated data; --data FOLDER trains on your own.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import RUN_MISTAKES, report_errors
from projects.common.options import add_run_options, base_parser, read_config
from projects.common.train import build_runner, prepare, show_results


def main() -> None:
    """Parse the command line, train, show the results."""
    parser = base_parser(__doc__, checkpoint=False)
    add_run_options(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='continue from a checkpoint, or the newest of the work dir',
    )
    parser.add_argument(
        '--init', metavar='FILE|none', help='weights to start the backbone from'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate with the batch size',
    )
    args = parser.parse_args()
    with report_errors(args.debug):
        cfg = read_config(args.config)
        prepare(cfg, args)
        runner = build_runner(cfg, args.compile)
    goes_on = 'stopped; the same command with --resume goes on from the last checkpoint'
    with report_errors(args.debug, RUN_MISTAKES, interrupted=goes_on):
        runner.train()
        show_results(runner, probed=args.demo)


if __name__ == '__main__':
    main()
