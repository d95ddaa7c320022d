"""Peak memory of a segmentation training step, beside the official kind of attention.

    python tools/memory.py configs/seg/upernet_uniformer_s.py
    python tools/memory.py configs/seg/fpn_uniformer_s.py --shape 1024 1024 --batch 1

Prints the peak with attention maps in memory, with fused attention, and with activation
checkpointing of backbone and heads besides; for the whole model and for its backbone.
Runs the steps, so it takes a minute or two on a CPU; needs no data and no weights.
UPerNet pools a batch to one value each: it needs two images.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import report_errors
from projects.common.options import base_parser, positive, read_config
from projects.seg.memory import measure, show


def main() -> None:
    """Parse the command line, run the steps, print the peaks."""
    parser = base_parser(__doc__, checkpoint=False)
    parser.add_argument(
        '--shape',
        nargs=2,
        type=positive,
        metavar='N',
        default=(512, 512),
        help='height and width (default: 512 512)',
    )
    parser.add_argument('--batch', type=positive, default=2, help='images (default: 2)')
    args = parser.parse_args()
    with report_errors(args.debug):
        cfg = read_config(args.config)
        cfg.merge_from_dict(args.cfg_options)
        size = (args.batch, 3, *args.shape)
        show(measure(cfg, size), f'{Path(args.config).stem}, input {size}')


if __name__ == '__main__':
    main()
