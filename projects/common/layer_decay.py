"""Parameter groups of any model on a four-stage backbone.

Layer-wise learning-rate decay, weight-decay rules and frozen parts become few groups,
which are logged when training starts.
"""

import re
from collections.abc import Iterator
from typing import Any

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

STAGES = (1, 2, 3, 4)
PART = re.compile(r'(patch_embed|blocks)([1-4])\.(?:(\d+)\.)?')
DECAY_TYPES = ('layer_wise', 'stage_wise')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with layer-wise decay of the learning rate.

    The rate of a parameter is multiplied by ``layer_decay_rate`` once per layer between
    it and the head. Layers count from the input: 0 is the first patch embedding, then
    every block, with the embedding of its stage for the first one (``'layer_wise'``);
    or every stage (``'stage_wise'``). What is not in embeddings or blocks (output
    norms, necks, heads) is the last layer and keeps the full rate.

    All options of mmengine's ``paramwise_cfg`` hold; ``lr_mult`` multiplies what decay
    leaves. Parameters with the same settings share a group, and frozen ones are in
    none. Each group bears its ``layer_id``, ``lr_scale`` and ``param_names``. Without
    decay all is one layer.

    Args:
        optim_wrapper_cfg: as in mmengine.
        paramwise_cfg: mmengine's options, and ``layer_decay_rate`` in (0, 1], by
            default 1; ``decay_type``, by default ``'layer_wise'``.

    Raises:
        ValueError: an option is not as described, or there is decay but no backbone
            with ``patch_embed1..4`` and ``blocks1..4``.

    Examples:
        ``optim_wrapper = dict(constructor='LayerDecayConstructor', paramwise_cfg=dict(
        layer_decay_rate=0.8, norm_decay_mult=0.0), ...)``
    """

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: dict[str, Any] | None = None,
    ) -> None:
        options = dict(paramwise_cfg or {})
        self.rate = options.setdefault('layer_decay_rate', 1.0)
        self.kind = options.setdefault('decay_type', 'layer_wise')
        if not 0 < self.rate <= 1:
            raise ValueError(f'layer_decay_rate must be in (0, 1], got {self.rate}')
        if self.kind not in DECAY_TYPES:
            raise ValueError(
                f'decay_type must be one of {", ".join(DECAY_TYPES)}; got {self.kind!r}'
            )
        super().__init__(optim_wrapper_cfg, options)

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = '',
        **kwargs: Any,
    ) -> None:
        """Let mmengine make a group per parameter; at the root, decay and merge."""
        super().add_params(params, module, prefix=prefix, **kwargs)
        if prefix:
            return
        layers = Layers(module, self.kind)
        if self.rate < 1 and not layers.backbones:
            raise ValueError(
                'layer_decay_rate: the model has no backbone with patch_embed1..4 and '
                'blocks1..4'
            )
        names = {parameter: name for name, parameter in module.named_parameters()}
        merged: dict[tuple[Any, ...], dict[str, Any]] = {}
        for group in params:
            (parameter,) = group.pop('params')
            name = names[parameter]
            layer = layers.find(name) if self.rate < 1 else layers.last
            scale = self.rate ** (layers.last - layer)
            group['lr'] = group.get('lr', self.base_lr) * scale
            group.setdefault('weight_decay', self.base_wd)
            group.update(layer_id=layer, lr_scale=scale)
            key = tuple(sorted((k, repr(v)) for k, v in group.items()))
            whole = merged.setdefault(key, {'params': [], 'param_names': [], **group})
            whole['params'].append(parameter)
            whole['param_names'].append(name)
        params[:] = sorted(
            merged.values(), key=lambda group: (-group['layer_id'], -group['lr'])
        )
        self._log(params, module)

    def _log(self, groups: list[dict[str, Any]], model: nn.Module) -> None:
        frozen = [p for p in model.parameters() if not p.requires_grad]
        lines = [
            f'{self._label(group)}: lr {group["lr"]:.3g}, weight decay '
            f'{group["weight_decay"] or 0:.3g}, {_count(group["params"])}'
            for group in groups
        ]
        lines += [f'frozen: {_count(frozen)}'] if frozen else []
        print_log('parameter groups\n  ' + '\n  '.join(lines), logger='current')

    def _label(self, group: dict[str, Any]) -> str:
        return f'layer {group["layer_id"]}' if self.rate < 1 else 'all layers'


class Layers:
    """Numbers the layers of the four-stage backbones inside a model.

    Args:
        model: holds none, one or more backbones.
        kind: one of ``DECAY_TYPES``.

    Attributes:
        backbones: depths of the four stages of each backbone, by its name in the model.
        last: layer of all that is in no backbone.
    """

    def __init__(self, model: nn.Module, kind: str) -> None:
        self.kind = kind
        self.backbones = dict(_backbones(model))
        sizes = [
            sum(depths) if kind == 'layer_wise' else len(STAGES)
            for depths in self.backbones.values()
        ]
        self.last = max(sizes, default=0) + 1

    def find(self, name: str) -> int:
        """Give the layer of a parameter by its full name."""
        for prefix, depths in self.backbones.items():
            part = PART.match(name.removeprefix(prefix))
            if name.startswith(prefix) and part is not None:
                return self._number(depths, *part.groups())
        return self.last

    def _number(
        self, depths: tuple[int, ...], kind: str, stage: str, block: str | None
    ) -> int:
        if kind == 'patch_embed' and stage == '1':
            return 0
        if self.kind == 'stage_wise':
            return int(stage)
        inside = int(block or 0) if kind == 'blocks' else 0
        return 1 + sum(depths[: int(stage) - 1]) + inside


def _backbones(model: nn.Module) -> Iterator[tuple[str, tuple[int, ...]]]:
    for name, module in model.named_modules():
        children = dict(module.named_children())
        if all(
            f'patch_embed{i}' in children and f'blocks{i}' in children for i in STAGES
        ):
            depths = tuple(len(children[f'blocks{i}']) for i in STAGES)
            yield (f'{name}.' if name else ''), depths


def _count(params: list[nn.Parameter]) -> str:
    total = sum(parameter.numel() for parameter in params)
    return f'{len(params)} tensors of {total:,} values'
