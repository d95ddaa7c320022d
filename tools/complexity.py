"""Parameters and FLOPs of a model, whole and part by part.

    python tools/complexity.py configs/det/mask_rcnn_uniformer_s.py
    python tools/complexity.py CONFIG --shape 224 224
    python tools/complexity.py CONFIG --shape 16 224 224 --json cost.json

One multiply-add counts as one. Works for configs of every task, of this project or of
the libraries; needs no data and no weights.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.complexity import measure, show
from projects.common.errors import report_errors
from projects.common.options import base_parser, read_config


def main() -> None:
    """Parse the command line, count, print a table."""
    parser = base_parser(__doc__, checkpoint=False)
    parser.add_argument(
        '--shape',
        nargs='+',
        type=int,
        metavar='N',
        help='height and width, for clips FRAMES before them (default: the config)',
    )
    parser.add_argument('--json', metavar='FILE', help='write the numbers there')
    args = parser.parse_args()
    with report_errors(args.debug):
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options)
        found = measure(cfg, args.shape)
        show(found, Path(args.config).stem)
        if args.json:
            text = json.dumps({'config': args.config, **found.to_dict()}, indent=1)
            Path(args.json).write_text(text + '\n')


if __name__ == '__main__':
    main()
