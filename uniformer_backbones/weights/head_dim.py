"""Channels per attention head of a checkpoint, which its shapes do not tell.

The released token-labeling S, S+ and B have 32, but 64 where their name says ``dim64``;
the other S and B have 64, S+ 32 or, with ``dim64``, 64.
"""

import re
from collections.abc import Mapping
from pathlib import PurePath

from uniformer_backbones.models.arch import ARCHS

# Published besides the row's own value.
TOKEN_LABELING = {'small': 32, 'base': 32}
# The key of its version that this package writes into metadata, and no other.
OURS = 'uniformer_backbones'
# Tasks whose published files all have the row's own value.
UNAMBIGUOUS_TASKS = ('video', 'detection', 'segmentation', 'pose')
WRITTEN = re.compile(r'dim_?(\d{1,4})')
LABELED = re.compile(r'(^|[_-])tl([_-]|$)|token[_-]?label')
PLUS = re.compile(r'(small|(^|[_-])s)[_-]?plus')
# An arch, and what a released file was trained on: so its name is complete, and would
# say tl or dim64.
PUBLISHED = re.compile(
    r'(small|base|(^|[_-])[sb][_-]).*'
    r'(in1k|imagenet|k400|k600|kinetics|ss?v[12]|sthv|coco)'
    r'|(rcnn|fpn|upernet|top_down|td[_-]hm).*(small|base|[_-][sb]([_-]|$))'
)


def head_dims_of(archs: tuple[str, ...]) -> tuple[int, ...]:
    """Values published with the shapes of some rows of the arch table.

    Examples:
        >>> head_dims_of(('small',)), head_dims_of(('large_ls',))
        ((32, 64), (64,))
    """
    found = {ARCHS[name].head_dim for name in archs}
    found |= {TOKEN_LABELING[name] for name in archs if name in TOKEN_LABELING}
    return tuple(sorted(found))


def find_head_dim(
    archs: tuple[str, ...],
    task: str,
    source: str,
    name: str = '',
    meta: object = None,
    given: int | None = None,
) -> tuple[int | None, str]:
    """Find ``head_dim`` where anything tells it, and what does.

    Args:
        archs: rows of the arch table that have the shapes.
        task: of the checkpoint, as in :class:`Identity`.
        source: whose names it has.
        name: of the file.
        meta: its metadata.
        given: the value, from someone who knows.

    Returns:
        The value or ``None``, and the reason in two or three words.

    Examples:
        >>> find_head_dim(('small',), 'classification', 'official', 'small_tl_224.pth')
        (32, 'from the file name')
    """
    if given is not None:
        return given, 'as given'
    stored = _head_dim_of_meta(meta)
    if stored is not None:
        return stored, 'from the metadata'
    values = head_dims_of(archs)
    if len(values) == 1:
        return values[0], 'the only one of this arch'
    written = head_dim_of_name(name, archs)
    if written in values:
        return written, 'from the file name'
    if len(archs) == 1 and (task in UNAMBIGUOUS_TASKS or source == 'OpenMixup'):
        kind = source if source == 'OpenMixup' else task
        return ARCHS[archs[0]].head_dim, f'as all published {kind} files'
    return None, ''


def _head_dim_of_meta(meta: object) -> int | None:
    """Read what our tools write: a value, or an arch that has one."""
    if not isinstance(meta, Mapping) or OURS not in meta:
        return None
    written, arch = str(meta.get('head_dim')), meta.get('arch')
    if re.fullmatch(r'\d{1,4}', written):
        return int(written)
    return ARCHS[arch].head_dim if isinstance(arch, str) and arch in ARCHS else None


def head_dim_of_name(name: str, archs: tuple[str, ...]) -> int | None:
    """Read a file name as the released files are named.

    Examples:
        >>> head_dim_of_name('uniformer_small_plus_dim64_in1k.pth', ('small_plus',))
        64
        >>> head_dim_of_name('epoch_300.pth', ('small',)) is None
        True
    """
    # The folder says nothing: it is the user's.
    stem = PurePath(name).stem.lower()
    written = WRITTEN.search(stem)
    if written:
        return int(written[1])
    if LABELED.search(stem) or PLUS.search(stem):
        return 32
    if PUBLISHED.search(stem) and archs:
        return ARCHS[archs[0]].head_dim
    return None
