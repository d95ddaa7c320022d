"""Ours (A) beside a plain reference in the official code's structure (B).

Both run in one process, A B A B, and the figure is the median of the pairwise ratios
B / A: above one, ours is faster, or keeps less. Before the clock starts, their outputs
are compared; a difference above 1e-4 ends the run. A ratio is printed, never judged.
"""

import csv
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from projects.common.errors import UserError
from projects.common.reference import Reference
from uniformer_backbones import UniFormer

TOLERANCE = 1e-4
MIN_PAIRS, MAX_PAIRS = 3, 50
DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}
VIDEO = {'ndim': 3}
DENSE = {
    'attention': 'hybrid',
    'window_size': 14,
    'out_indices': (0, 1, 2, 3),
    'out_norm': 'layer',
}


@dataclass(frozen=True)
class Workload:
    """A model, an input size and whether the backward pass belongs to it."""

    name: str
    model: dict[str, Any]
    shape: tuple[int, ...]
    quick: tuple[int, ...]
    train: bool


WORKLOADS = (
    Workload('video', VIDEO, (1, 3, 16, 224, 224), (1, 3, 8, 96, 96), False),
    Workload('video train', VIDEO, (1, 3, 16, 224, 224), (1, 3, 8, 96, 96), True),
    Workload('detection', DENSE, (1, 3, 800, 1280), (1, 3, 256, 416), False),
    Workload('dense', DENSE, (1, 3, 512, 512), (1, 3, 224, 224), False),
    Workload('dense train', DENSE, (1, 3, 512, 512), (1, 3, 224, 224), True),
    Workload('classification', {}, (8, 3, 224, 224), (2, 3, 160, 160), False),
    Workload('classification train', {}, (8, 3, 224, 224), (2, 3, 160, 160), True),
)


@dataclass(frozen=True)
class Result:
    """One line of the CSV; times in milliseconds, memory in MiB.

    Attributes:
        ratio: median of the pairwise B / A; ``lowest`` and ``highest`` are its range.
        kept_ours: what forward keeps for backward, parameters not counted.
    """

    workload: str
    shape: str
    ours_ms: float
    reference_ms: float
    ratio: float
    lowest: float
    highest: float
    pairs: int
    kept_ours: float | None = None
    kept_reference: float | None = None


def compare(
    workload: Workload,
    arch: str | dict,
    device: torch.device,
    dtypes: tuple[str, str],
    quick: bool,
    seconds: float,
    reference_only: bool = False,
) -> Result:
    """Time one workload.

    Args:
        workload: what runs.
        arch: as of the backbone.
        device: where.
        dtypes: of A and of B; below float32 it is autocast.
        quick: at the small size.
        seconds: clock time to spend; at least three pairs run.
        reference_only: B against itself, which must give 1.

    Raises:
        UserError: A and B do not compute the same.
    """
    shape = workload.quick if quick else workload.shape
    models = build_pair(arch, workload, device, reference_only)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
    step = train_step if workload.train else infer_step
    check_equal(*(partial(step, model, x) for model in models), workload.name)
    return time_pair(workload, models, x, dtypes, seconds)


def time_pair(
    workload: Workload,
    models: Sequence[nn.Module],
    x: Tensor,
    dtypes: Sequence[str],
    seconds: float,
) -> Result:
    """Time A and B by turns on one input; arguments as of :func:`compare`."""
    step = train_step if workload.train else infer_step
    scopes = [_autocast(x.device, dtype) for dtype in dtypes]
    pairs = list(zip(models, scopes, strict=True))
    clock = cuda_time if x.is_cuda else process_time
    ours, theirs = [], []
    for model, scope in pairs:
        with scope():
            step(model, x)
    end = time.monotonic() + seconds
    while len(ours) < MIN_PAIRS or (time.monotonic() < end and len(ours) < MAX_PAIRS):
        for (model, scope), times in zip(pairs, (ours, theirs), strict=True):
            with scope():
                times.append(clock(partial(step, model, x)))
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    kept = [kept_for_backward(m, x, scope) for m, scope in pairs if workload.train]
    return Result(
        workload.name,
        'x'.join(map(str, x.shape)),
        median(ours),
        median(theirs),
        median(ratios),
        ratios[0],
        ratios[-1],
        len(ratios),
        *kept,
    )


def build_pair(
    arch: str | dict, workload: Workload, device: torch.device, reference_only: bool
) -> tuple[nn.Module, nn.Module]:
    """Ours and the reference with the same weights, which no layer can hide behind."""
    torch.manual_seed(0)
    reference = Reference(arch, **workload.model)
    with torch.no_grad():
        for name, value in reference.state_dict().items():
            if name.endswith('running_var'):
                value.uniform_(0.5, 1.5)
            elif name.endswith('running_mean') or name.endswith('bias'):
                value.normal_(0, 0.1)
    kind = Reference if reference_only else UniFormer
    ours = kind(arch, **workload.model)
    ours.load_state_dict(reference.state_dict(), strict=True)
    for model in (ours, reference):
        model.to(device).train(workload.train)
    return ours, reference


def infer_step(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Forward without gradients."""
    with torch.inference_mode():
        return list(model(x))


def train_step(model: nn.Module, x: Tensor) -> list[Tensor]:
    """Forward and backward; returns the outputs and one flat gradient."""
    model.zero_grad(set_to_none=True)
    outs = model(x)
    # Not a plain sum: through a norm its gradient vanishes.
    sum((out.float() * out.detach().float().cos()).mean() for out in outs).backward()
    parameters = dict(sorted(model.named_parameters())).values()
    grads = [p.grad.flatten() for p in parameters if p.grad is not None]
    return [*(out.detach() for out in outs), torch.cat(grads)]


def check_equal(
    ours: Callable[[], list[Tensor]], reference: Callable[[], list[Tensor]], name: str
) -> None:
    """Compare results relative to their largest value, in float32.

    Raises:
        UserError: a difference is above the tolerance.
    """
    for a, b in zip(ours(), reference(), strict=True):
        difference = ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).item()
        if not difference <= TOLERANCE:
            raise UserError(
                f'{name}: ours and the reference differ by {difference:.1e}, more than '
                f'{TOLERANCE:.0e}; there is nothing to time'
            )


def process_time(run: Callable[[], Any]) -> float:
    """CPU milliseconds of the process, whatever else the machine does."""
    start = time.process_time()
    run()
    return 1e3 * (time.process_time() - start)


def cuda_time(run: Callable[[], Any]) -> float:
    """Milliseconds between two events on the current CUDA stream."""
    events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
    torch.cuda.synchronize()
    events[0].record()
    run()
    events[1].record()
    torch.cuda.synchronize()
    return events[0].elapsed_time(events[1])


def kept_for_backward(
    model: nn.Module,
    x: Tensor,
    scope: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> float:
    """MiB of distinct storages that forward saves, without parameters and input."""
    known = {p.untyped_storage().data_ptr() for p in [*model.parameters(), x]}
    kept: dict[int, torch.UntypedStorage] = {}  # held, or addresses would be reused

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with scope(), hooks:
        outs = model(x)
    size = sum(storage.nbytes() for storage in kept.values()) / 2**20
    del outs
    return size


def _autocast(
    device: torch.device, dtype: str
) -> Callable[[], AbstractContextManager[Any]]:
    if dtype == 'fp32':
        return nullcontext
    return partial(torch.autocast, device.type, DTYPES[dtype])


def show(results: Sequence[Result], title: str, names: tuple[str, str]) -> None:
    """Print the ratios of two models; times in milliseconds, memory in MiB."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column('workload', no_wrap=True)
    for name in (*names, 'ratio', 'range', 'kept', 'ratio'):
        table.add_column(name, justify='right', no_wrap=True)
    for result in results:
        memory = ('', '')
        if result.kept_ours is not None and result.kept_reference is not None:
            pair = f'{result.kept_ours:.0f}/{result.kept_reference:.0f}'
            memory = pair, f'{result.kept_reference / result.kept_ours:.2f}'
        table.add_row(
            result.workload,
            f'{result.ours_ms:.0f}',
            f'{result.reference_ms:.0f}',
            f'{result.ratio:.2f}',
            f'{result.lowest:.2f}-{result.highest:.2f}',
            *memory,
        )
    Console(highlight=False).print(table)


def csv_name(device: torch.device, dtypes: tuple[str, str], quick: bool) -> str:
    """File name with torch version, device and dtype."""
    where = 'cpu'
    if device.type == 'cuda':
        where = torch.cuda.get_device_name(device).replace(' ', '-').lower()
    kind = '-'.join(dict.fromkeys(dtypes))
    version = torch.__version__.split('+')[0]
    return f'benchmark-torch{version}-{where}-{kind}{"-quick" if quick else ""}.csv'


def write_csv(results: Sequence[Result], path: Path) -> None:
    """Write all figures of a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='') as file:
        writer = csv.DictWriter(file, list(asdict(results[0])))
        writer.writeheader()
        writer.writerows(_rounded(results))


def _rounded(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    for result in results:
        yield {
            key: round(value, 4) if isinstance(value, float) else value
            for key, value in asdict(result).items()
        }
