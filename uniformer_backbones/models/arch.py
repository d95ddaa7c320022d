"""The published variants, one row each.

Depths, widths and heads: arXiv:2201.09450, table 1, and the released code. ``tiny``
exists in OpenMixup only; ``xxs`` and ``xs`` are the hourglass (light) variants.
``head_dim`` cannot be read from a checkpoint: the released
token-labeling S, S+ and B use 32 unless their name says ``dim64``, the other S and B
use 64.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from uniformer_backbones.models.arguments import as_tuple, check_positive

LAYER_SCALES = ('none', 'global', 'all')


@dataclass(frozen=True)
class Arch:
    """What tells one variant from another.

    Attributes:
        depths: blocks in each of the four stages.
        embed_dims: channels of each stage.
        head_dim: channels per attention head in stages 3 and 4.
        mlp_ratio: expansion of the FFN.
        conv_stem: overlapped convolutional embeddings in all stages; in the hourglass
            variants in stage 1 only.
        layer_scale: which blocks have it: ``'none'``, ``'global'`` (stages 3 and 4)
            or ``'all'``.
        keep_ratio: share of the tokens that the blocks of stages 3 and 4 (all but the
            first) update slowly; below 1 it makes an hourglass (light) variant.
        trade_off: weight of a block's attention in the running scores of tokens.

    Raises:
        ValueError: a value is not allowed.
    """

    depths: tuple[int, ...]
    embed_dims: tuple[int, ...]
    head_dim: int
    mlp_ratio: float = 4.0
    conv_stem: bool = False
    layer_scale: str = 'none'
    keep_ratio: float = 1.0
    trade_off: float = 0.5

    @property
    def is_hourglass(self) -> bool:
        """Whether it shrinks tokens."""
        return self.keep_ratio < 1

    def __post_init__(self) -> None:
        """Turn lists into tuples and check the values."""
        for name in ('depths', 'embed_dims'):
            value = as_tuple(getattr(self, name))
            if len(value) != 4 or not all(isinstance(v, int) and v > 0 for v in value):
                raise ValueError(
                    f'arch {name} must be four positive integers, got '
                    f'{getattr(self, name)!r}'
                )
            object.__setattr__(self, name, value)
        if self.layer_scale not in LAYER_SCALES:
            raise ValueError(
                f'layer_scale must be one of {", ".join(LAYER_SCALES)}; '
                f'got {self.layer_scale!r}'
            )
        check_positive('head_dim', self.head_dim)
        if not (isinstance(self.mlp_ratio, (int, float)) and self.mlp_ratio > 0):
            raise ValueError(f'mlp_ratio must be positive, got {self.mlp_ratio!r}')
        for name in ('keep_ratio', 'trade_off'):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and 0 < value <= 1):
                raise ValueError(f'{name} must be above 0 and at most 1, got {value!r}')


SMALL = (64, 128, 320, 512)

ARCHS: Mapping[str, Arch] = {
    'tiny': Arch((3, 4, 8, 3), (32, 64, 160, 256), 32, layer_scale='all'),
    'xxs': Arch(
        (2, 5, 8, 2), (56, 112, 224, 448), 28, 3, conv_stem=True, keep_ratio=0.5
    ),
    'xs': Arch(
        (3, 5, 9, 3), (64, 128, 256, 512), 32, 3, conv_stem=True, keep_ratio=0.5
    ),
    'small': Arch((3, 4, 8, 3), SMALL, 64),
    'small_plus': Arch((3, 5, 9, 3), SMALL, 32, conv_stem=True),
    'small_plus_dim64': Arch((3, 5, 9, 3), SMALL, 64, conv_stem=True),
    'base': Arch((5, 8, 20, 7), SMALL, 64),
    'base_ls': Arch((5, 8, 20, 7), SMALL, 64, layer_scale='global'),
    'large_ls': Arch((5, 10, 24, 7), (128, 192, 448, 640), 64, layer_scale='all'),
}


def list_archs() -> list[str]:
    """Names that ``UniFormer(arch)`` knows, smallest first."""
    return list(ARCHS)


def find_arch(arch: str | Mapping[str, Any] | Arch) -> Arch:
    """Row of the table, or a row of the caller's own.

    Args:
        arch: a name of :func:`list_archs`, or the fields of :class:`Arch` as a dict.

    Raises:
        ValueError: the name is unknown, or the dict lacks or adds a field.

    Examples:
        >>> find_arch('small').depths
        (3, 4, 8, 3)
    """
    if isinstance(arch, Arch):
        return arch
    if isinstance(arch, Mapping):
        known = [field.name for field in fields(Arch)]
        unknown = sorted(set(arch) - set(known))
        missing = sorted({'depths', 'embed_dims', 'head_dim'} - set(arch))
        if unknown or missing:
            raise ValueError(
                f'arch dict: unknown {unknown}, missing {missing}; '
                f'the fields are {known}'
            )
        return Arch(**arch)
    if not isinstance(arch, str) or arch not in ARCHS:
        raise ValueError(
            f'unknown arch {arch!r}; choose one of {", ".join(ARCHS)}, or give a dict'
        )
    return ARCHS[arch]
