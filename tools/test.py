"""Evaluate a checkpoint.

The config that a run leaves in its work dir is the whole truth of that run, so
    python tools/test.py work_dirs/RUN/CONFIG.py work_dirs/RUN/epoch_12.pth
repeats its result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import RUN_MISTAKES, report_errors
from projects.common.options import add_run_options, base_parser, read_config
from projects.common.test import build_tester, prepare, show_metrics


def main() -> None:
    """Parse the command line, test, show the metrics."""
    parser = base_parser(__doc__, checkpoint=True)
    add_run_options(parser)
    parser.add_argument(
        '--draw', metavar='DIR', help='save pictures of predictions beside the truth'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help='several sizes and mirror images of each input, where the config has them',
    )
    args = parser.parse_args()
    with report_errors(args.debug):
        cfg = read_config(args.config)
        prepare(cfg, args)
        runner = build_tester(cfg, args.compile)
    with report_errors(args.debug, RUN_MISTAKES):
        show_metrics(runner, runner.test(), args.draw)


if __name__ == '__main__':
    main()
