"""Speed and memory beside a reference written in the official code's structure.

    python tools/benchmark.py                   all workloads, some minutes
    python tools/benchmark.py --quick           small sizes, for a slow machine
    python tools/benchmark.py --only video --dtype bf16
    python tools/benchmark.py --arch xxs --against small      two archs at equal input

Prints ratios reference / ours, or second arch / first, and writes them to a CSV. On a
CPU it measures the process's CPU time, on a GPU the time between CUDA events.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from rich.progress import track

from projects.common.benchmark import (
    DTYPES,
    WORKLOADS,
    compare,
    csv_name,
    show,
    write_csv,
)
from projects.common.errors import UserError, report_errors
from projects.common.rivals import compare_archs
from uniformer_backbones import list_archs
from uniformer_backbones.models import find_arch


def main() -> None:
    """Parse the command line, measure, print and write the ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    names = [workload.name for workload in WORKLOADS]
    add('--quick', action='store_true', help='small sizes')
    add('--only', nargs='+', choices=names, default=names, metavar='WORKLOAD')
    add('--arch', choices=list_archs(), default='small', metavar='ARCH')
    add('--against', choices=list_archs(), metavar='ARCH', help='in place of it')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--dtype', choices=list(DTYPES), default='fp32', help='of ours')
    add('--reference-dtype', choices=list(DTYPES), default='fp32')
    add('--threads', type=int, default=1, help='CPU threads (default: 1)')
    add('--seconds', type=float, default=5, help='for each workload, at least')
    add('--self-check', action='store_true', help='reference against itself: must be 1')
    add('--out', default='work_dirs/benchmark', help='folder of the CSV')
    add('--debug', action='store_true', help='show tracebacks of user errors')
    args = parser.parse_args()
    with report_errors(args.debug, mistakes=(ValueError, OSError, RuntimeError)):
        if args.threads < 1:
            raise UserError(f'--threads {args.threads}: at least 1')
        if args.against is None and find_arch(args.arch).is_hourglass:
            raise UserError(
                f'--arch {args.arch}: the reference has no hourglass models; '
                'give --against small, say'
            )
        torch.set_num_threads(args.threads)
        # float32 means float32: TF32 would differ by more than the tolerance.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        device = torch.device(args.device)
        dtypes = (args.dtype, args.reference_dtype)
        chosen = [workload for workload in WORKLOADS if workload.name in args.only]
        if args.against is None:
            run = partial(compare, arch=args.arch, reference_only=args.self_check)
        else:
            run = partial(compare_archs, archs=(args.arch, args.against))
        options = {'quick': args.quick, 'seconds': args.seconds}
        results = [
            run(workload, device=device, dtypes=dtypes, **options)
            for workload in track(chosen, 'Measuring', transient=True)
        ]
        kinds = args.dtype if dtypes[0] == dtypes[1] else f'{dtypes[0]} / {dtypes[1]}'
        pair, name = ('ours', 'reference'), csv_name(device, dtypes, args.quick)
        if args.against is not None:
            pair = (args.arch, args.against)
            name = f'{args.arch}-against-{args.against}-{name}'
        title = f'{args.arch}, {device.type}, {kinds}; ms, MiB, {pair[1]} / {pair[0]}'
        show(results, title, pair)
        path = Path(args.out) / name
        write_csv(results, path)
        print(path)


if __name__ == '__main__':
    main()
