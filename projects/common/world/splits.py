"""The two splits that every generated data set has."""

from collections.abc import Callable, Iterable, Iterator

Track = Callable[[Iterable[int], str], Iterable[int]]


def each_split(
    num_train: int, num_val: int, track: Track | None = None, least: int = 1
) -> Iterator[tuple[str, Iterable[int]]]:
    """Give ``'train'`` and ``'val'`` with the indices of what is in them.

    Args:
        num_train: how many indices ``'train'`` has.
        num_val: and ``'val'``.
        track: wraps the indices, for a progress bar.
        least: what a count must be.

    Raises:
        ValueError: a count is below ``least``.
    """
    if min(num_train, num_val) < least:
        raise ValueError(f'counts must be >= {least}, got {num_train} and {num_val}')
    for split, count in (('train', num_train), ('val', num_val)):
        yield split, track(range(count), split) if track else range(count)
