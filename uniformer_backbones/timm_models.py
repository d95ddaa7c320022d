"""UniFormer classifiers in timm's registry.

    import timm
    import uniformer_backbones.timm_models  # registers uniformer_tiny and the others

    model = timm.create_model('uniformer_small', num_classes=10)
    maps = timm.create_model('uniformer_base', features_only=True, out_indices=(1, 3))

Parameter names are those of the released classification files, which load with
``checkpoint_path=FILE``, or, whatever their task and container, with ``pretrained=True,
pretrained_cfg_overlay=dict(file=FILE)``. Nothing is downloaded.
"""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import SelectAdaptivePool2d, trunc_normal_
from timm.models import (
    build_model_with_cfg,
    generate_default_cfgs,
    register_model,
)
from timm.models._builder import resolve_pretrained_cfg
from timm.models._features import feature_take_indices
from timm.models._manipulate import adapt_input_conv
from torch import Tensor, nn

from uniformer_backbones.compat.checkpoint import read_checkpoint
from uniformer_backbones.models.arch import ARCHS
from uniformer_backbones.models.uniformer import STAGES, UniFormer
from uniformer_backbones.weights.keys import to_official, unwrap
from uniformer_backbones.weights.official import load_official

POOLS = ('avg', 'max', 'avgmax', '')
Indices = int | list[int] | None


class TimmUniFormer(UniFormer):
    """A classifier with timm's interface: backbone, BatchNorm, pooling, linear head.

    Args:
        arch: row of the arch table.
        in_chans: channels of the input.
        num_classes: of the head; 0 for none.
        global_pool: ``'avg'``, ``'max'``, ``'avgmax'``, or ``''`` for the map itself.
        drop_rate: dropout before the head.
        proj_drop_rate: dropout after embedding 1, attention and FFN layers.
        **kwargs: of :class:`~uniformer_backbones.UniFormer`, as ``drop_path_rate``,
            ``head_dim`` or ``attention``.

    Shape:
        Input ``(B, in_chans, H, W)``, sides at least 32; output ``(B, num_classes)``.

    Source:
        arXiv:2201.09450; the official classification model. Of the hourglass archs the
        classifier of the class token, which only training uses, is left out.
    """

    def __init__(
        self,
        arch: str = 'small',
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = 'avg',
        drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            arch,
            in_channels=in_chans,
            drop_rate=proj_drop_rate,
            out_indices=(0, 1, 2, 3),
            out_norm='none',
            **kwargs,
        )
        dims = self.arch.embed_dims
        self.in_chans = in_chans
        self.feature_info = [
            {'num_chs': dim, 'reduction': 2 ** (stage + 1), 'module': f'blocks{stage}'}
            for stage, dim in zip(STAGES, dims, strict=True)
        ]
        self.num_features = self.head_hidden_size = dims[-1]
        self.norm: nn.Module = nn.BatchNorm2d(dims[-1])
        self.head_drop = nn.Dropout(drop_rate)
        self.reset_classifier(num_classes, global_pool)

    def reset_classifier(
        self, num_classes: int, global_pool: str | None = None
    ) -> None:
        """Replace the head, and the pooling if it is given.

        Raises:
            ValueError: the pooling is unknown, or there is none before a head.
        """
        if global_pool is not None and global_pool not in POOLS:
            raise ValueError(f'global_pool must be one of {POOLS}, got {global_pool!r}')
        if global_pool is not None:
            self.global_pool = SelectAdaptivePool2d(
                pool_type=global_pool, flatten=bool(global_pool)
            )
        if num_classes and not self.global_pool.pool_type:
            raise ValueError("a head needs pooling: global_pool='avg', not ''")
        self.num_classes = num_classes
        self.head: nn.Module = nn.Identity()
        if num_classes:
            head = nn.Linear(self.num_features, num_classes)
            trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
            self.head = head.to(next(self.parameters())).train(self.training)

    def get_classifier(self) -> nn.Module:
        """The linear head."""
        return self.head

    def forward_features(self, x: Tensor) -> Tensor:
        """Normalised last map ``(B, C_4, H/32, W/32)``."""
        return self.norm(super().forward(x)[-1])

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool the last map and classify it."""
        x = self.head_drop(self.global_pool(x))
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Scores ``(B, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def forward_intermediates(
        self,
        x: Tensor,
        indices: Indices = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = 'NCHW',
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Maps of some stages, and the normalised last map.

        Args:
            x: images.
            indices: stages from 0, or the number of last stages; ``None`` for all.
            norm: normalise the map of the last stage in the list too.
            stop_early: as in timm; all stages of this model run. See
                :meth:`prune_intermediate_layers`.
            output_fmt: ``'NCHW'``.
            intermediates_only: return the list alone.

        Raises:
            ValueError: another format is asked for.
        """
        if output_fmt != 'NCHW':
            raise ValueError(f'output_fmt must be NCHW, got {output_fmt!r}')
        wanted, _ = feature_take_indices(len(STAGES), indices)
        maps = super().forward(x)
        chosen = [
            self.norm(maps[index]) if norm and index == 3 else maps[index]
            for index in sorted(wanted)
        ]
        return chosen if intermediates_only else (self.norm(maps[-1]), chosen)

    def prune_intermediate_layers(
        self, indices: Indices = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove the stages after the last of ``indices``, which are returned."""
        wanted, last = feature_take_indices(len(STAGES), indices)
        for stage in STAGES[last + 1 :]:
            setattr(self, f'patch_embed{stage}', nn.Identity())
            setattr(self, f'blocks{stage}', nn.ModuleList())
        is_cut = last < len(STAGES) - 1
        if is_cut:
            self.num_features = self.head_hidden_size = self.arch.embed_dims[last]
            self.register_module('cls_upsample', nn.Identity())
        if prune_norm or is_cut:
            self.norm = nn.Identity()
        if prune_head or is_cut:
            self.reset_classifier(0, '')
        return list(wanted)

    def load_pretrained(self, checkpoint_path: str | PathLike[str], **_: Any) -> None:
        """Load any file that :func:`~uniformer_backbones.load_official` reads.

        A head of another number of classes stays new; the first convolution is adapted
        to the channels as timm does it.
        """
        if self.in_chans == 3:
            load_official(self, checkpoint_path)
            return
        weights = to_official(unwrap(read_checkpoint(checkpoint_path)))
        key = f'{first_conv(self.arch.conv_stem)}.weight'
        if key in weights:
            weights[key] = adapt_input_conv(self.in_chans, weights[key])
        load_official(self, weights)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute all blocks in the backward pass, or none."""
        self.checkpointed = self.arch.depths if enable else (0, 0, 0, 0)

    def no_weight_decay(self) -> set[str]:
        """Official names; ``pos_embed`` matches no parameter, as released."""
        return {'pos_embed', 'cls_token'}

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Groups for layer-wise learning rates: a stage, or a block."""
        blocks = [
            (r'^cls_(?:token|upsample)', (3,) if coarse else (3, 0)),
            (r'^blocks(\d)\.' if coarse else r'^blocks(\d)\.(\d+)', None),
            (r'^patch_embed(\d)', None if coarse else (0,)),
            (r'^norm', (99999,)),
        ]
        return {'stem': r'^patch_embed1', 'blocks': blocks}


def first_conv(conv_stem: bool) -> str:
    """Name of the first convolution."""
    return 'patch_embed1.proj.0' if conv_stem else 'patch_embed1.proj'


def _config(arch: str) -> dict[str, Any]:
    return {
        'num_classes': 1000,
        'input_size': (3, 224, 224),
        'min_input_size': (3, 32, 32),
        'pool_size': (7, 7),
        'crop_pct': 224 / 256,
        'interpolation': 'bicubic',
        'mean': IMAGENET_DEFAULT_MEAN,
        'std': IMAGENET_DEFAULT_STD,
        'first_conv': first_conv(ARCHS[arch].conv_stem),
        'classifier': 'head',
        'custom_load': True,
        'license': 'apache-2.0',
        'paper_ids': 'arXiv:2201.09450',
    }


default_cfgs = generate_default_cfgs(
    {f'uniformer_{arch}': _config(arch) for arch in ARCHS}
)


def _make_entry(arch: str) -> Callable[..., nn.Module]:
    name = f'uniformer_{arch}'

    def build(pretrained: bool = False, **kwargs: Any) -> nn.Module:
        if pretrained:
            kwargs['pretrained_cfg_overlay'] = _find_weights(name, kwargs)
        return build_model_with_cfg(
            TimmUniFormer,
            name,
            pretrained,
            feature_cfg={'out_indices': (0, 1, 2, 3), 'feature_cls': 'getter'},
            pretrained_filter_fn=filter_checkpoint,
            arch=arch,
            **kwargs,
        )

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f'Build UniFormer {arch}; see :class:`TimmUniFormer`.'
    return build


def _find_weights(name: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The overlay, in which a file is for :meth:`TimmUniFormer.load_pretrained`."""
    overlay = dict(kwargs.get('pretrained_cfg_overlay') or {})
    cfg = resolve_pretrained_cfg(name, kwargs.get('pretrained_cfg'), overlay)
    if not (cfg.has_weights or cfg.state_dict):
        raise ValueError(
            f'{name}: its weights are not in a place that timm can download from; get '
            'the official file and pass pretrained_cfg_overlay=dict(file=FILE)'
        )
    return {'custom_load': True, **overlay} if cfg.file else overlay


def filter_checkpoint(
    checkpoint: Mapping[str, Any], model: nn.Module
) -> dict[str, Any]:
    """Names of a released or trained file to those of the model; for timm.

    The heads that only training uses are left out.
    """
    weights = to_official(unwrap(checkpoint))
    training = ('aux_head.', 'norm_cls.', 'head_cls.')
    return {k: v for k, v in weights.items() if not k.startswith(training)}


__all__ = ['TimmUniFormer']

for _arch in ARCHS:
    register_model(_make_entry(_arch))
