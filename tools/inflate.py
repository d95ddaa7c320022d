"""Turn an image checkpoint into one of clips.

    python tools/inflate.py uniformer_small_in1k.pth small_3d.safetensors --arch small

IN is a published UniFormer file or a checkpoint of your own training; OUT is written
as .safetensors or .pth by its suffix, with where it comes from. A config needs no such
file: its init_cfg inflates an image checkpoint by itself. See docs/inflation.md.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.table import Table

from projects.common.errors import report_errors
from uniformer_backbones import list_archs
from uniformer_backbones.models.arch import LAYER_SCALES
from uniformer_backbones.weights import LoadReport
from uniformer_backbones.weights.inflated_file import inflate_file
from uniformer_backbones.weights.inflation import MODES
from uniformer_backbones.weights.official import list_modules


def main() -> None:
    """Parse the command line, inflate, say what became of every tensor."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='IN', help='checkpoint of an image model')
    parser.add_argument('target', metavar='OUT', help='.safetensors or .pth to write')
    parser.add_argument(
        '--arch', required=True, help=f'of both models: {", ".join(list_archs())}'
    )
    parser.add_argument(
        '--mode',
        choices=MODES,
        default='average',
        help='a kernel is shared among the frames (official, default), or put at the '
        'middle one',
    )
    parser.add_argument(
        '--temporal-overlap',
        action='store_true',
        help='for a model whose patch embeddings 2 to 4 span three frames',
    )
    parser.add_argument(
        '--layer-scale',
        choices=LAYER_SCALES,
        help="blocks that have it, where IN differs from the arch's",
    )
    parser.add_argument(
        '--ema', action='store_true', help='take the moving average if IN has one'
    )
    parser.add_argument(
        '--debug', action='store_true', help='show tracebacks of user errors'
    )
    args = parser.parse_args()
    arguments = {
        'temporal_overlap': args.temporal_overlap,
        'layer_scale': args.layer_scale,
    }
    with report_errors(args.debug):
        report = inflate_file(
            args.source,
            args.target,
            args.arch,
            args.mode,
            args.ema,
            **{key: value for key, value in arguments.items() if value},
        )
        show(report, args)


def show(report: LoadReport, args: argparse.Namespace) -> None:
    """Print how many tensors were inflated, copied and dropped, and of what."""
    rows = {
        f'inflated ({args.mode})': report.inflated,
        'copied': report.loaded,
        'dropped': report.dropped,
        'not in IN': report.new,
    }
    table = Table('what', 'tensors', 'where', title=f'{args.arch}, 2D to 3D')
    for name, keys in rows.items():
        table.add_row(name, str(len(keys)), list_modules(keys))
    console = Console(soft_wrap=True, highlight=False)
    console.print(table)
    console.print(args.target, markup=False)


if __name__ == '__main__':
    main()
