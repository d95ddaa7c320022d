"""The skeleton of a data set: its keypoints, and what is known of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mmpose
from mmengine.config import Config

from projects.common.errors import UserError

COCO_META = Path(mmpose.__file__).parent / '.mim/configs/_base_/datasets/coco.py'
# Between those of COCO's shoulders and eyes, which are 0.079 and 0.025.
SIGMA = 0.05
SIDES = {'left': 'right', 'right': 'left', 'l': 'r', 'r': 'l'}

Pair = tuple[int, int]


@dataclass(frozen=True)
class Skeleton:
    """Keypoints in the order of the annotations.

    Attributes:
        keypoints: their names.
        links: pairs of keypoints that a line joins, counted from 0.
        flip_pairs: pairs that a mirror image exchanges.
        sigmas: how exactly each can be placed, for COCO's similarity (OKS).
        upper: keypoints of the upper half of a body.
        lower: of the lower half; half-body augmentation needs both.
    """

    keypoints: tuple[str, ...]
    links: tuple[Pair, ...] = ()
    flip_pairs: tuple[Pair, ...] = ()
    sigmas: tuple[float, ...] = ()
    upper: tuple[int, ...] = ()
    lower: tuple[int, ...] = ()

    def to_config(self) -> dict[str, Any]:
        """As the ``metainfo`` of ``KeypointDataset``: lists a config file can hold."""
        return {
            key: [list(v) if isinstance(v, tuple) else v for v in value]
            for key, value in asdict(self).items()
        }

    def to_mmpose(self, dataset_name: str = 'own') -> dict[str, Any]:
        """As what mmpose parses to its ``metainfo``."""
        names = self.keypoints
        swap = dict(self.flip_pairs) | {b: a for a, b in self.flip_pairs}
        halves = dict.fromkeys(self.upper, 'upper') | dict.fromkeys(self.lower, 'lower')
        return {
            'dataset_name': dataset_name,
            'keypoint_info': {
                i: {
                    'name': name,
                    'type': halves.get(i, ''),
                    'swap': names[swap[i]] if i in swap else '',
                }
                for i, name in enumerate(names)
            },
            'skeleton_info': {
                i: {'link': (names[a], names[b])} for i, (a, b) in enumerate(self.links)
            },
            'joint_weights': [1.0] * len(names),
            'sigmas': list(self.sigmas),
        }


@cache
def coco_skeleton() -> Skeleton:
    """The 17 keypoints of COCO, as mmpose describes them."""
    info = Config.fromfile(COCO_META).dataset_info
    points = [info.keypoint_info[i] for i in range(len(info.keypoint_info))]
    names = tuple(point.name for point in points)
    halves = {
        half: tuple(i for i, point in enumerate(points) if point.type == half)
        for half in ('upper', 'lower')
    }
    return Skeleton(
        keypoints=names,
        links=tuple(
            tuple(names.index(end) for end in link.link)
            for link in info.skeleton_info.values()
        ),
        flip_pairs=mirror_pairs(names),
        sigmas=tuple(info.sigmas),
        **halves,
    )


def mirror_pairs(names: Sequence[str]) -> tuple[Pair, ...]:
    """Find the pairs of names that differ in left and right alone.

    Examples:
        >>> mirror_pairs(['nose', 'left_eye', 'right_eye', 'EarR', 'EarL', 'l-paw'])
        ((1, 2), (3, 4))
    """
    words = [_words(name) for name in names]
    places = {word: i for i, word in enumerate(words)}
    pairs = []
    for i, word in enumerate(words):
        other = tuple(_mirrored(part) for part in word)
        if other != word and places.get(other, -1) > i:
            pairs.append((i, places[other]))
    return tuple(pairs)


def read_skeleton(
    category: Mapping[str, Any], where: str
) -> tuple[Skeleton, tuple[str, ...]]:
    """Read a COCO category.

    Beside COCO's ``keypoints`` and ``skeleton`` (pairs counted from 1) it may have
    ``flip_pairs`` (pairs of names, or counted from 1) and ``sigmas``.

    Args:
        category: an entry of ``categories``.
        where: what messages call it.

    Returns:
        The skeleton, and a sentence on each thing that was assumed.

    Raises:
        UserError: it has no keypoints, or an entry does not fit them.
    """
    names = category.get('keypoints')
    if not isinstance(names, list) or not names:
        raise UserError(
            f'{where}: no "keypoints", the list of their names; is it a COCO keypoints '
            'file?'
        )
    names = tuple(str(name) for name in names)
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UserError(f'{where}: two keypoints are called {double!r}')
    coco = coco_skeleton() if names == coco_skeleton().keypoints else None
    notes: list[str] = []
    if category.get('skeleton'):
        links = _read_pairs(category['skeleton'], names, f'{where}: skeleton', notes)
    else:
        links = coco.links if coco else ()
        notes.append(
            "no skeleton: COCO's is drawn" if coco else 'no skeleton: points are drawn'
        )
    if category.get('flip_pairs') is not None:
        pairs = _read_pairs(category['flip_pairs'], names, f'{where}: flip_pairs', [])
    else:
        pairs = mirror_pairs(names)
        shown = ', '.join(f'{names[a]} and {names[b]}' for a, b in pairs)
        notes.append(
            'no flip_pairs: by their names, a mirror image exchanges '
            + (shown or 'nothing')
        )
    sigmas = category.get('sigmas')
    if sigmas is None:
        sigmas = coco.sigmas if coco else (SIGMA,) * len(names)
        notes.append(f'no sigmas: {"those of COCO" if coco else SIGMA} are used')
    if len(sigmas) != len(names) or not all(sigma > 0 for sigma in sigmas):
        raise UserError(
            f'{where}: sigmas must be {len(names)} positive numbers, one a keypoint'
        )
    halves = {'upper': coco.upper, 'lower': coco.lower} if coco else {}
    sigmas = tuple(float(sigma) for sigma in sigmas)
    return Skeleton(names, links, pairs, sigmas, **halves), tuple(notes)


def _read_pairs(
    pairs: Any, names: tuple[str, ...], where: str, notes: list[str]
) -> tuple[Pair, ...]:
    """Pairs of names, or of numbers from 1 (from 0 where a 0 occurs)."""
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise UserError(f'{where} must be a list of pairs')
    ends = [end for pair in pairs for end in pair]
    first = 1
    if 0 in ends:
        first = 0
        notes.append('the skeleton counts keypoints from 0')
    for end in ends:
        known = end in names if isinstance(end, str) else 0 <= end - first < len(names)
        if not known:
            raise UserError(f'{where} names keypoint {end!r}; there are {len(names)}')
    places = [names.index(end) if isinstance(end, str) else end - first for end in ends]
    return tuple(zip(places[::2], places[1::2], strict=True))


def _words(name: str) -> tuple[str, ...]:
    parts = re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+', name)
    return tuple(part.lower() for part in parts)


def _mirrored(word: str) -> str:
    if word in SIDES:
        return SIDES[word]
    for side in ('left', 'right'):
        if word.startswith(side):  # lefteye
            return SIDES[side] + word[len(side) :]
    return word
