"""What a loader did with every tensor, in one line."""

from dataclasses import dataclass, field


@dataclass
class LoadReport:
    """What :func:`~uniformer_backbones.load_official` did, by key.

    Attributes:
        loaded: copied as they are.
        inflated: copied with a time axis added.
        dropped: in the file, without a place in the model.
        new: in the model, not in the file; they keep their initial values.
        resized: modules of another size on either side, most often of another number
            of classes, with both sizes. They are in ``dropped`` and in ``new`` too.
    """

    loaded: list[str] = field(default_factory=list)
    inflated: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    resized: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line: how many of each, and which modules were dropped or are new."""
        text = f'{len(self.loaded) + len(self.inflated)} tensors taken'
        if self.inflated:
            text += f' ({len(self.inflated)} inflated)'
        for name in ('dropped', 'new'):
            keys = getattr(self, name)
            text += f'; {len(keys)} {name}' + (
                f': {list_modules(keys)}' if keys else ''
            )
        if self.resized:
            sizes = ', '.join(
                f'{module} ({theirs} in the file, {ours} in the model)'
                for module, (theirs, ours) in self.resized.items()
            )
            text += f'. The number of classes differs, so these are left new: {sizes}'
        return text


def list_modules(keys: list[str]) -> str:
    """Top-level modules of some keys with their numbers of tensors.

    Examples:
        >>> list_modules(['norm.weight', 'norm.bias', 'head.bias'])
        'norm (2), head (1)'
    """
    counts: dict[str, int] = {}
    for key in keys:
        module = key.removeprefix('backbone.').split('.')[0]
        counts[module] = counts.get(module, 0) + 1
    return ', '.join(f'{module} ({count})' for module, count in counts.items())
