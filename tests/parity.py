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
from rich.console import Console
from torch import Tensor, nn

from tests.fixture_weights import (
    flatten_layout,
    make_input,
    make_probe,
    make_state_dict,
)
from uniformer_backbones import UniFormer, load_official

TOLERANCE = 1e-4
CLASSES = {'cls': 1000, 'video': 400}
DENSE = ('det', 'seg', 'pose')
Errors = Iterator[tuple[str, float]]


class Classifier(nn.Module):
    """UniFormer, mean over positions, linear head: the official classifiers."""

    def __init__(self, backbone: UniFormer, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.arch.embed_dims[-1], num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Logits of ``(B, 3, *S)``, in a tuple as the backbone's outputs are."""
        return (self.head(self.backbone(x)[-1].flatten(2).mean(-1)),)


def build(case: Mapping[str, Any]) -> nn.Module:
    """Our model for a fixture's official arguments.

    Raises:
        ValueError: the task or an argument is not one of ours.
    """
    task, official = case['task'], dict(case['arguments'])
    if task == 'openmixup':
        return UniFormer(official['arch'], layer_scale='all', embed_eps=1e-6)
    relation = 'window' if official.pop('windows', False) else 'global'
    relation = 'hybrid' if official.pop('hybrid', False) else relation
    relation = 'divided' if official.pop('split', False) else relation
    layer_scale = 'none'
    if official.pop('layer_scale', False):
        layer_scale = 'global' if task == 'cls' else 'all'
    arch = {
        'depths': official.pop('depth', None) or official.pop('layers', None),
        'embed_dims': official.pop('embed_dim'),
        'head_dim': official.pop('head_dim'),
        'mlp_ratio': official.pop('mlp_ratio', 4),
        'conv_stem': official.pop('conv_stem', False),
        'layer_scale': layer_scale,
    }
    ours: dict[str, Any] = {
        'attention': relation,
        'window_size': official.pop('window_size', 14),
        'qkv_bias': official.pop('qkv_bias', True),
        'temporal_overlap': official.pop('std', False),
        'ndim': 3 if task in ('video', 'mmaction') else 2,
    }
    official.pop('img_size', None)
    if official:
        raise ValueError(f'arguments without a counterpart: {sorted(official)}')
    if task in DENSE:
        indices = (3,) if task == 'pose' else (0, 1, 2, 3)
        return UniFormer(arch, out_norm='layer', out_indices=indices, **ours)
    if task == 'mmaction':
        return UniFormer(arch, norm_eps=1e-5, **ours)
    if task not in CLASSES:
        raise ValueError(f'no model of ours for task {task!r}')
    head = case['state_dict'].get('head.bias', [CLASSES[task]])
    return Classifier(UniFormer(arch, **ours), head[0])


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
    ours = {
        key.removeprefix('backbone.'): value
        for key, value in [*model.named_parameters(), *model.named_buffers()]
    }
    for spec in case['gradients']:
        key = spec['name']
        gradient = ours[key].grad.reshape(-1).double()
        scale = spec['abs_max'] or 1.0
        wanted = torch.tensor(spec['values'], dtype=torch.float64)
        gap = (gradient[spec['positions']] - wanted).abs()
        # rtol 1e-3 and atol 1e-4 of the largest element; norms within 1e-3.
        yield (
            f'grad {key}',
            TOLERANCE * float((gap / (1e-3 * wanted.abs() + 1e-4 * scale)).max()),
        )
        yield (
            f'norm {key}',
            TOLERANCE
            * float(
                abs(gradient.norm() - spec['norm']) / (1e-3 * spec['norm'] + 1e-12)
            ),
        )
    for spec in case['buffers_after']:
        key = spec['name']
        values = ours[key].reshape(-1)[spec['positions']]
        yield key, relative_error(values, spec['values'])


def run_inflate(case: Mapping[str, Any]) -> Errors:
    """Kernels of a 3D model loaded from an image file, by both rules."""
    arrays = make_state_dict(
        case['source_state_dict'], case['salt'], case['weight_profile']
    )
    source = {key: torch.from_numpy(np.asarray(value)) for key, value in arrays.items()}
    target = {
        **case,
        'task': 'video',
        'state_dict': case['target_state_dict'],
        'arguments': case['target']['arguments'],
    }
    names = {spec['name'] for spec in case['inflated']}
    for mode, label in (('average', ''), ('center', 'centre_')):
        model = build(target)
        file = flatten_layout(source, case['checkpoint_layout'])
        report = load_official(model, file, inflate=mode)
        loaded = {
            key.removeprefix('backbone.'): value.double()
            for key, value in model.state_dict().items()
        }
        right = (
            set(report.inflated) == names
            and set(report.dropped) == set(case['dropped'])
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
    'inflate': run_inflate,
}


def run(path: str | Path) -> tuple[str, float]:
    """Name and size of a fixture's largest error.

    Raises:
        ValueError: the file is not a fixture that we have a model for.
    """
    try:
        case = json.loads(Path(path).read_text())
        runner = MODES[case['mode']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f'{path}: not a parity fixture ({error!r})') from None
    torch.manual_seed(0)
    try:
        return max(runner(case), key=lambda pair: pair[1])
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the files of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('files', nargs='+', help='fixture files (.json)')
    parser.add_argument('--tolerance', type=float, default=TOLERANCE)
    options = parser.parse_args(arguments)
    console, status = Console(soft_wrap=True), 0
    for path in options.files:
        try:
            name, error = run(path)
        except ValueError as problem:
            console.print(f'[red]error[/] {problem}')
            status = 2
            continue
        passed = error <= options.tolerance
        status = max(status, 0 if passed else 1)
        mark = '[green]ok[/]   ' if passed else '[red]ABOVE[/]'
        console.print(f'{mark} {error:.2e}  {Path(path).stem}  (largest: {name})')
    return status


if __name__ == '__main__':
    sys.exit(main())
