"""Parameters and FLOPs of a model, part by part, at the size of its config.

Counting rule: one multiply-add counts as one. Counted are convolutions (transposed and
deformable ones too), linear layers and all products between activations, which are
the two of every attention, whichever kernel computes them. Biases, norms, activations,
softmax, pooling, resizing, RoIAlign and NMS count as nothing. A box head runs on 1000
boxes, a mask head on the first 100 of them, every stage of a cascade likewise: mmdet
2.x counted so, and the published detection figures with it.

The model runs on PyTorch's meta device, which computes shapes only.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from projects.common.errors import UserError
from projects.common.flops import (
    BETWEEN_ACTIVATIONS,
    Ledger,
    Unfilled,
    explicit_attention,
    formulas,
)
from projects.common.input_size import config_name, default_size, full_size

RULE = (
    'One multiply-add counts as one. Counted: convolutions, linear layers and the '
    'products of attention; nothing for biases, norms, activations and pooling.'
)
BOXES, MASKS = 1000, 100
REST = ('', 'other')


@dataclass(frozen=True)
class Part:
    """One line of the table: parameters and multiply-adds of a part."""

    group: str
    name: str
    params: int
    flops: int


@dataclass(frozen=True)
class Complexity:
    """What :func:`measure` found.

    Attributes:
        size: ``(H, W)`` or ``(T, H, W)`` of the input, a batch of one.
        params: parameters of the whole model, frozen ones too.
        flops: multiply-adds of the whole model.
        attention_flops: of these, the products between activations.
        parts: they add up to the whole.
        notes: what a reader must know beside ``RULE``.
    """

    size: tuple[int, ...]
    params: int
    flops: int
    attention_flops: int
    parts: tuple[Part, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for a JSON file."""
        return {**asdict(self), 'rule': RULE}


def measure(cfg: Config, size: Sequence[int] | None = None) -> Complexity:
    """Count the parameters and multiply-adds of a config's model.

    Args:
        cfg: a config of any of the libraries.
        size: sides of the input in pixels, for clips with the frames before them;
            ``None`` for what the config's test pipeline makes.

    Raises:
        UserError: the config has no model or no scope, or the model cannot run at
            this size.
    """
    if not cfg.get('model') or not cfg.get('default_scope'):
        raise UserError(f'{config_name(cfg)}: has no model or no default_scope')
    size = full_size(cfg, size) if size else default_size(cfg)
    with DefaultScope.overwrite_default_scope(cfg.default_scope), explicit_attention():
        return _measure(cfg, size)


def _measure(cfg: Config, size: tuple[int, ...]) -> Complexity:
    try:
        with Unfilled():
            model = MODELS.build(deepcopy(cfg.model)).to('meta')
        return _run(model, cfg, size, 'tensor')
    except Exception as error:  # it may want values, which the meta device has not
        failure = error
    model = MODELS.build(deepcopy(cfg.model))
    for mode in ('tensor', 'predict'):
        try:
            return _run(model, cfg, size, mode)
        except Exception as error:
            failure = error
    sides = ' x '.join(map(str, size))
    text = ' '.join(str(failure).split()) or type(failure).__name__
    raise UserError(f'{config_name(cfg)}: cannot run at {sides}: {text}') from failure


def _run(model: nn.Module, cfg: Config, size: tuple[int, ...], mode: str) -> Complexity:
    """Run a model once under the counter."""
    model.eval()
    device = next(model.parameters()).device
    parts = split(model)
    counter = FlopCounterMode(display=False, custom_mapping=formulas())
    ledger = Ledger(counter, REST)
    handles = [
        handle
        for name, modules in parts.items()
        for module in modules
        for handle in ledger.watch(module, name)
    ]
    try:
        with torch.no_grad(), counter:
            notes = _forward(model, cfg, size, mode, device)
        ledger.settle()
    finally:
        for handle in handles:
            handle.remove()
    counts = counter.get_flop_counts().get('Global', {})
    params = {name: _params(modules) for name, modules in parts.items()}
    total = sum(p.numel() for p in model.parameters())
    params[REST] = total - sum(params.values())
    lines = [
        Part(*name, params[name], ledger.flops[name] // 2)
        for name in params
        if params[name] or ledger.flops[name]
    ]
    attention = sum(counts.get(op, 0) for op in BETWEEN_ACTIVATIONS)
    return Complexity(
        size, total, sum(counts.values()) // 2, attention // 2, tuple(lines), notes
    )


def split(model: nn.Module) -> dict[tuple[str, str], list[nn.Module]]:
    """Parts of a model as ``{(group, name): modules}``, disjoint.

    The backbone is split into its stages, a RoI head into its heads; anything else is
    one part. A patch embedding belongs to the blocks that follow it.
    """
    parts: dict[tuple[str, str], list[nn.Module]] = defaultdict(list)
    for name, child in model.named_children():
        if name not in ('backbone', 'roi_head'):
            parts['', name] += child.modules()
            continue
        for inner, module in child.named_children():
            if re.fullmatch(r'(patch_embed|blocks)\d', inner):
                inner = f'patch_embed{inner[-1]} + blocks{inner[-1]}'
            elif re.fullmatch(r'norm\d*', inner):
                inner = 'output norms'
            parts[name, inner] += module.modules()
    return dict(parts)


def show(found: Complexity, title: str) -> None:
    """Print a table on stdout."""
    sides = ' x '.join(map(str, found.size))
    table = Table('part', title=f'{title}, input {sides}')
    for name in ('parameters', 'FLOPs'):
        table.add_column(name, justify='right')
    groups = dict.fromkeys(part.group or part.name for part in found.parts)
    for group in groups:
        inner = [p for p in found.parts if group == p.group]
        whole = inner or [p for p in found.parts if group == p.name and not p.group]
        params, flops = sum(p.params for p in whole), sum(p.flops for p in whole)
        table.add_row(group, *_cells(params, flops))
        for part in inner:
            table.add_row(f'  {part.name}', *_cells(part.params, part.flops))
    table.add_section()
    table.add_row('whole model', *_cells(found.params, found.flops))
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    share = 100 * found.attention_flops / max(found.flops, 1)
    console.print(RULE)
    console.print(
        f'{found.attention_flops / 1e9:.2f} G ({share:.0f} %) are products between '
        'activations, which some published figures leave out.'
    )
    for note in found.notes:
        console.print(note)


def _cells(params: int, flops: int) -> tuple[str, str]:
    return (
        f'{params / 1e6:.2f} M' if params else '-',
        f'{flops / 1e9:.2f} G' if flops else '-',
    )


def _params(modules: Sequence[nn.Module]) -> int:
    """Parameters that the modules own, shared ones once."""
    own = {p for module in modules for p in module._parameters.values()}
    return sum(p.numel() for p in own if p is not None)


def _forward(
    model: nn.Module,
    cfg: Config,
    size: tuple[int, ...],
    mode: str,
    device: torch.device,
) -> tuple[str, ...]:
    """Run a model on one input of its library's layout; return what to note."""
    channels = getattr(model.backbone, 'in_channels', 3)
    channels = channels if isinstance(channels, int) and channels <= 4 else 3
    shape: tuple[int, ...] = (1, channels, *size)
    if cfg.default_scope == 'mmaction':
        clips = 'Recognizer2D' not in cfg.model.type
        shape = (1, 1, 3, *size) if clips else (1, size[0], 3, *size[1:])
        stage = 'head' if model.with_cls_head else 'neck'
        model(torch.zeros(shape, device=device), mode='tensor', stage=stage)
        return ('One view: a clip times a crop. A test multiplies it by its views.',)
    x = torch.zeros(shape, device=device)
    if cfg.default_scope != 'mmdet':
        model(x, data_samples=None, mode=mode)
        return ()
    if mode == 'tensor' and _has_plain_roi_head(model):
        return _two_stages(model, x)
    model(x, [_det_sample(size)], mode=mode)
    if mode == 'tensor':
        return ()
    return ('Run on a blank image: what depends on the boxes found can be more.',)


def _has_plain_roi_head(model: nn.Module) -> bool:
    from mmdet.models import roi_heads

    plain = (roi_heads.StandardRoIHead, roi_heads.CascadeRoIHead)
    return type(getattr(model, 'roi_head', None)) in plain


def _two_stages(model: nn.Module, x: Tensor) -> tuple[str, ...]:
    """A two-stage detector on as many boxes as mmdet 2.x counted."""
    feats = model.extract_feat(x)
    if model.with_rpn:
        model.rpn_head(feats)
    for kind, count in (('bbox', BOXES), ('mask', MASKS)):
        heads = getattr(model.roi_head, f'{kind}_head', None)
        if heads is None:
            continue
        extractors = getattr(model.roi_head, f'{kind}_roi_extractor')
        if not isinstance(heads, nn.ModuleList):
            heads, extractors = [heads], [extractors]
        for head, extractor in zip(heads, extractors, strict=True):
            sides = extractor.roi_layers[0].output_size
            feature = x.new_zeros(count, extractor.out_channels, *sides)
            if model.roi_head.with_shared_head:
                feature = model.roi_head.shared_head(feature)
            head(feature)
    return (f'Box heads run on {BOXES} boxes, mask heads on {MASKS}.',)


def _det_sample(size: tuple[int, ...]) -> Any:
    from mmdet.structures import DetDataSample

    meta = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), size)
    meta |= {'batch_input_shape': size, 'scale_factor': (1.0, 1.0)}
    return DetDataSample(metainfo=meta)
