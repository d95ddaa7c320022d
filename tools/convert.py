"""Turn a UniFormer checkpoint of any code base into one of another.

    python tools/convert.py uniformer_small_in1k.pth small.safetensors
    python tools/convert.py top_down_256x192_global_small.pth pose.pth --to mmengine
    python tools/convert.py work_dirs/uniformer_s/epoch_300.pth s.pth --to official

Reads every published file and your own checkpoints; says what IN is, from its keys and
shapes. OUT is written as .safetensors or .pth by its suffix, whole or not at all. See
docs/checkpoints.md.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

from projects.common.errors import report_errors
from uniformer_backbones import list_archs
from uniformer_backbones.weights.conversion import Conversion, convert_file
from uniformer_backbones.weights.layouts import LAYOUTS
from uniformer_backbones.weights.report import list_modules


def main() -> None:
    """Parse the command line, convert, say what was read and written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='IN', help='checkpoint to read')
    parser.add_argument('target', metavar='OUT', help='.safetensors or .pth to write')
    parser.add_argument(
        '--to',
        choices=LAYOUTS,
        default='mmengine',
        help="names of today's OpenMMLab models (default), of the official code, of "
        'OpenMixup, or of the backbone alone',
    )
    parser.add_argument(
        '--arch', help=f'what IN has to be: {", ".join(list_archs())} (default: found)'
    )
    parser.add_argument(
        '--head-dim',
        type=int,
        metavar='N',
        help='channels per attention head, where neither IN nor its name tells',
    )
    parser.add_argument(
        '--ema', action='store_true', help='take the moving average if IN has one'
    )
    parser.add_argument(
        '--strict',
        action='store_true',
        help='refuse to drop anything, and archs that are not in the table',
    )
    parser.add_argument(
        '--debug', action='store_true', help='show tracebacks of user errors'
    )
    args = parser.parse_args()
    with report_errors(args.debug):
        done = convert_file(
            args.source,
            args.target,
            args.to,
            args.arch,
            args.head_dim,
            args.ema,
            args.strict,
        )
        show(done, args)


def show(done: Conversion, args: argparse.Namespace) -> None:
    """Print what IN is, which model takes it, and what was written."""
    model = {'type': 'uniformer_backbones.UniFormer', **done.identity.model}
    arguments = ', '.join(f'{key}={value!r}' for key, value in model.items())
    text = f'{done.written} tensors written, {done.renamed} under another name'
    if done.dropped:
        text += f'; {len(done.dropped)} dropped: {list_modules(done.dropped)}'
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f'{args.source}: {done.identity}')
    console.print(f'backbone: dict({arguments})')
    console.print(f'{args.target}: {done.layout} names, {text}')


if __name__ == '__main__':
    main()
