"""Checks of the backbone's arguments: the value received and the values allowed."""

from collections.abc import Sequence

from torch import Tensor

ATTENTIONS = ('global', 'window', 'hybrid', 'divided')
# Five halvings of the sides leave one token.
MIN_SIZE = 32


def as_tuple(value: object) -> tuple[int, ...]:
    """Items of a list or tuple; nothing of anything else, for a check to refuse."""
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a word that is not allowed.

    Raises:
        ValueError: with the words allowed.
    """
    if value not in allowed:
        raise ValueError(f'{name} must be one of {", ".join(allowed)}; got {value!r}')


def check_attention(
    attention: str, ndim: int, temporal_overlap: bool, is_hourglass: bool
) -> None:
    """Refuse an attention that the model cannot have.

    Raises:
        ValueError: with the words allowed, or what it takes.
    """
    check_choice('attention', attention, ATTENTIONS)
    if ndim != 3 and (attention == 'divided' or temporal_overlap):
        raise ValueError(
            'attention="divided" and temporal_overlap are for clips; '
            f'they need ndim=3, got ndim={ndim}'
        )
    if is_hourglass and attention != 'global':
        raise ValueError(
            'hourglass archs shrink tokens instead of choosing an attention; '
            f'they need attention="global", got {attention!r}'
        )


def check_out_indices(out_indices: Sequence[int]) -> tuple[int, ...]:
    """Return the indices as a tuple.

    Raises:
        ValueError: they are not distinct stages in ascending order.
    """
    indices = as_tuple(out_indices)
    if (
        not indices
        or any(i not in range(4) for i in indices)
        or list(indices) != sorted(set(indices))
    ):
        raise ValueError(
            'out_indices must be distinct stages from 0 to 3 in ascending '
            f'order, got {out_indices!r}'
        )
    return indices


def check_frozen_stages(frozen_stages: int) -> int:
    """Return the number of frozen stages.

    Raises:
        ValueError: it is not from -1 to 4.
    """
    if frozen_stages not in range(-1, 5):
        raise ValueError(
            'frozen_stages must be -1 (none), 0 (the stem) or 1 to 4, got '
            f'{frozen_stages!r}'
        )
    return frozen_stages


def check_with_cp(
    with_cp: bool | Sequence[int], depths: tuple[int, ...]
) -> tuple[int, ...]:
    """Return how many leading blocks of each stage are checkpointed.

    Raises:
        ValueError: it is neither a bool nor four numbers.
    """
    if isinstance(with_cp, bool):
        return depths if with_cp else (0, 0, 0, 0)
    counts = as_tuple(with_cp)
    if len(counts) != 4 or not all(isinstance(n, int) and n >= 0 for n in counts):
        raise ValueError(
            f'with_cp must be a bool or four numbers of leading blocks, got {with_cp!r}'
        )
    return counts


def check_positive(name: str, value: int) -> int:
    """Return a positive integer.

    Raises:
        ValueError: ``value`` is anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f'{name} must be a positive integer, got {value!r}')
    return value


def check_input(x: Tensor, ndim: int, channels: int) -> None:
    """Refuse a tensor that is no batch of images or clips.

    Raises:
        ValueError: its axes, channels or sides are wrong.
    """
    layout = '(B, C, H, W)' if ndim == 2 else '(B, C, T, H, W)'
    if x.dim() != ndim + 2 or x.shape[1] != channels:
        raise ValueError(
            f'UniFormer with ndim={ndim} takes {layout} with '
            f'C={channels}, got {tuple(x.shape)}'
        )
    if 0 in (x.shape[0], *x.shape[2:-2]):
        raise ValueError(f'UniFormer got an empty batch or clip: {tuple(x.shape)}')
    if x.shape[-2] < MIN_SIZE or x.shape[-1] < MIN_SIZE:
        raise ValueError(
            f'UniFormer needs height and width of at least {MIN_SIZE} '
            f'pixels, got {tuple(x.shape)}'
        )
