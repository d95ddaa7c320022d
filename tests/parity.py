"""Parity with the official implementation: ``python -m tests.parity FILE...``.

A fixture file holds the outputs of a reference model for weights and inputs that are
functions of their names. This runs any such files through our model and
``load_official``, prints the largest error of each as a multiple of its tolerance, and
exits with 1 if one is above it, with 2 if a file cannot be used.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from rich.console import Console
from rich.markup import escape
from torch import Tensor, nn

from tests.fixture_models import TASKS, build, official_name
from tests.fixture_weights import (
    flatten_layout,
    make_input,
    make_probe,
    make_state_dict,
)
from uniformer_backbones import load_official
from uniformer_backbones.weights.keys import to_official

TOLERANCE = 1e-4
# Rounding of float32 sums, as a share of the largest gradient.
NOISE = 1e-6
Errors = Iterator[tuple[str, float]]


def load(case: Mapping[str, Any], model: nn.Module) -> None:
    """Load the fixture's weights as a released file holds them; nothing may be left.

    Raises:
        ValueError: a tensor is left over or missing.
    """
    arrays = make_state_dict(case['state_dict'], case['salt'], case['weight_profile'])
    weights = {
        key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()
    }
    report = load_official(model, flatten_layout(weights, case['checkpoint_layout']))
    # A pose model returns one map: norm1-3 of the file have no use, hence no module.
    dropped = [
        key
        for key in report.dropped
        if not (case['task'] == 'pose' and key.startswith('norm'))
    ]
    if dropped or report.new:
        raise ValueError(f'left over {dropped[:4]}, missing {report.new[:4]}')


def relative_error(ours: Tensor, expected: Sequence[float]) -> float:
    """Largest ``|a - b| / (1 + |b|)``: below t where rtol = atol = t holds."""
    wanted = torch.tensor(expected, dtype=torch.float64)
    gap = (ours.detach().double() - wanted).abs() / (1 + wanted.abs())
    return float('inf') if gap.isnan().any() else float(gap.max())


def compare(tensor: Tensor, spec: Mapping[str, Any], salt: str) -> float:
    """Error of an output against its recorded values and its checksum."""
    if list(tensor.shape) != list(spec['shape']):
        return float('inf')
    flat = tensor.detach().contiguous().reshape(-1).double()
    probe = torch.from_numpy(make_probe(spec['name'], (flat.numel(),), salt)).double()
    checksum = (flat * probe).sum() / flat.numel() ** 0.5
    return max(
        relative_error(flat[spec['positions']], spec['values']),
        relative_error(checksum[None], [spec['probe_dot']]),
    )


def inputs(case: Mapping[str, Any]) -> Tensor:
    """The fixture's input."""
    spec = case['inputs'][0]
    return torch.from_numpy(
        make_input(spec['name'], spec['shape'], case['salt'], spec['scale'])
    )


def run_eval(case: Mapping[str, Any]) -> Errors:
    """Outputs in eval mode."""
    model = build(case).eval()
    load(case, model)
    with torch.no_grad():
        outs = model(inputs(case))
    for out, spec in zip(outs, case['outputs'], strict=True):
        yield spec['name'], compare(out, spec, case['salt'])


def run_train_mixtoken(case: Mapping[str, Any]) -> Errors:
    """Outputs in training mode with the box that was drawn for MixToken."""
    model = build(case).train()
    load(case, model)
    with torch.no_grad():
        outs = model(inputs(case), case['mix_box_embedding_grid'], case['mix_box'])
    for out, spec in zip(outs, case['outputs'], strict=True):
        yield spec['name'], compare(out, spec, case['salt'])


def run_train_grad(case: Mapping[str, Any]) -> Errors:
    """Outputs, gradients and running statistics of one step in training mode."""
    model = build(case).train()
    load(case, model)
    outs = model(inputs(case))
    loss: Any = 0.0
    for out, spec in zip(outs, case['outputs'], strict=True):
        yield spec['name'], compare(out, spec, case['salt'])
        probe = torch.from_numpy(make_probe(spec['name'], out.shape, case['salt']))
        loss = loss + (out * probe).sum()
    loss.backward()
    parts = dict([*model.named_parameters(), *model.named_buffers()])
    parts = {official_name(key): value for key, value in parts.items()}
    recorded = case['state_dict']
    ours = dict(zip(recorded, to_official(dict.fromkeys(recorded)), strict=True))
    noise = NOISE * max(spec['abs_max'] for spec in case['gradients'])
    for spec in case['gradients']:
        key = spec['name']
        error = gradient_error(parts[ours[key]].grad, spec, noise)
        yield f'gradient of {key}', error
    for spec in case['buffers_after']:
        key = spec['name']
        values = parts[ours[key]].reshape(-1)[spec['positions']]
        yield key, relative_error(values, spec['values'])


def gradient_error(gradient: Tensor, spec: Mapping[str, Any], noise: float) -> float:
    """Error of a gradient: 1e-4 stands for the tolerances of the fixtures' README.

    They are, for the values, rtol 1e-3 and atol 1e-4 of the largest element; for the
    norm, rtol 1e-3. ``noise`` is for gradients that are zero but for rounding, as that
    of a bias in front of BatchNorm.
    """
    ours = gradient.detach().reshape(-1).double()
    wanted = torch.tensor(spec['values'], dtype=torch.float64)
    gap = (ours[spec['positions']] - wanted).abs()
    allowed = 1e-3 * wanted.abs() + 1e-4 * spec['abs_max'] + noise
    norm_gap = (ours.norm() - spec['norm']).abs()
    norm_allowed = 1e-3 * spec['norm'] + noise * ours.numel() ** 0.5
    shares = torch.cat([gap / allowed, (norm_gap / norm_allowed)[None]])
    return 1e-4 * float(shares.nan_to_num(nan=float('inf')).max())


def run_inflate(case: Mapping[str, Any]) -> Errors:
    """Kernels of a 3D model loaded from an image file, by both rules."""
    arrays = make_state_dict(
        case['source_state_dict'], case['salt'], case['weight_profile']
    )
    source = {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}
    target = {
        **case,
        'task': case['task'].replace('cls', 'video'),
        'state_dict': case['target_state_dict'],
        'arguments': case['target']['arguments'],
    }
    names = {spec['name'] for spec in case['inflated']}
    kept = set(case['target_state_dict']).intersection(case['dropped'])
    new = kept | set(case.get('missing_in_source', ()))
    for mode, label in (('average', ''), ('center', 'centre_')):
        model = build(target)
        file = flatten_layout(source, case['checkpoint_layout'])
        report = load_official(model, file, inflate=mode)
        loaded = {
            official_name(key): value.double()
            for key, value in model.state_dict().items()
        }
        right = (
            set(report.inflated) == names
            and set(report.dropped) == set(case['dropped'])
            and {official_name(key) for key in report.new} == new
            and all(
                torch.equal(loaded[key], source[key].double()) for key in report.loaded
            )
        )
        yield f'{mode}: keys', 0.0 if right else float('inf')
        for spec in case['inflated']:
            key, kernel = spec['name'], loaded[spec['name']]
            probe = torch.from_numpy(make_probe(key, (kernel.numel(),), case['salt']))
            sums = {
                'sum': kernel.sum(),
                'abs_sum': kernel.abs().sum(),
                'square_sum': kernel.square().sum(),
                'probe_dot': (kernel.reshape(-1) * probe.double()).sum()
                / kernel.numel() ** 0.5,
            }
            for name, value in sums.items():
                yield (
                    f'{mode}: {name} of {key}',
                    relative_error(value[None], [spec[label + name]]),
                )


MODES: Mapping[str, Callable[[Mapping[str, Any]], Errors]] = {
    'eval': run_eval,
    'train_grad': run_train_grad,
    'train_mixtoken': run_train_mixtoken,
    'inflate': run_inflate,
}


def run(path: str | Path) -> tuple[str, float]:
    """Name and size of a fixture's largest error.

    Raises:
        ValueError: the file is not a fixture that we have a model for.
    """
    try:
        case = json.loads(Path(path).read_text())
        mode, task = case['mode'], case['task']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: not a parity fixture ({error!r})') from None
    if task not in TASKS or mode not in MODES:
        raise ValueError(
            f'{path}: task {task!r} in mode {mode!r} is not supported yet; the tasks '
            f'are {", ".join(TASKS)}, the modes {", ".join(MODES)}'
        )
    torch.manual_seed(0)
    try:
        return max(MODES[mode](case), key=lambda pair: pair[1])
    except Exception as error:  # whatever is wrong in the file, one line says where
        first = (str(error).splitlines() or [''])[0]
        raise ValueError(f'{path}: {type(error).__name__}: {first}') from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the files of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('files', nargs='+', help='fixture files (.json)')
    parser.add_argument('--tolerance', type=float, default=TOLERANCE)
    options = parser.parse_args(arguments)
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for every loading
    status = 0
    for path in options.files:
        try:
            name, error = run(path)
        except ValueError as problem:
            say(f'[red]error[/] {escape(str(problem))}', stderr=True)
            status = 2
            continue
        passed = error <= options.tolerance
        status = max(status, 0 if passed else 1)
        mark = '[green]ok[/]   ' if passed else '[red]ABOVE[/]'
        where = escape(f'{Path(path).stem}  (largest: {name})')
        say(f'{mark} {error:.2e}  {where}')
    return status


def say(text: str, stderr: bool = False) -> None:
    """Print one line, coloured where there is a terminal."""
    Console(soft_wrap=True, highlight=False, stderr=stderr).print(text)


if __name__ == '__main__':
    sys.exit(main())
