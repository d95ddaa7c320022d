"""The skeleton of a data set: its keypoints, and what is known of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import mmpose
from mmengine.config import Config

from projects.common.coco_checks import is_number
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
    # Names that read alike, such as x+ and x-, have no mirror image that can be told.
    places = {word: i for i, word in enumerate(words) if words.count(word) == 1}
    pairs = []
    for i, word in enumerate(words):
        other = tuple(_mirrored(part) for part in word)
        if other != word and word in places and places.get(other, -1) > i:
            pairs.append((i, places[other]))
    return tuple(pairs)


def read_skeleton(
    category: Mapping[str, Any], where: str
) -> tuple[Skeleton, tuple[str, ...]]:
    """Read a COCO category.

    Beside COCO's ``keypoints`` and ``skeleton`` it may have ``flip_pairs`` and
    ``sigmas``. Both lists hold pairs of names or of numbers, which count from 1 or,
    where they or the names tell so, from 0.

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
        links = _read_pairs(category, 'skeleton', names, where, notes)
    else:
        links = coco.links if coco else ()
        notes.append(
            "no skeleton: COCO's is drawn" if coco else 'no skeleton: points are drawn'
        )
    given = category.get('flip_pairs') is not None
    if given:
        pairs = _read_pairs(category, 'flip_pairs', names, where, notes)
        ends = [end for pair in pairs for end in pair]
        double = next((names[end] for end in ends if ends.count(end) > 1), None)
        if double is not None:
            raise UserError(f'{where}: flip_pairs use keypoint {double!r} twice')
    else:
        pairs = mirror_pairs(names)
    shown = ', '.join(f'{names[a]} and {names[b]}' for a, b in pairs) or 'nothing'
    guess = '' if given else 'no flip_pairs: by their names, '
    notes.append(f'{guess}a mirror image exchanges {shown}')
    sigmas = category.get('sigmas')
    if sigmas is None:
        sigmas = coco.sigmas if coco else (SIGMA,) * len(names)
        notes.append(f'no sigmas: {"those of COCO" if coco else SIGMA} are used')
    numbers = isinstance(sigmas, Sequence) and all(map(is_number, sigmas))
    if not numbers or len(sigmas) != len(names) or min(sigmas) <= 0:
        raise UserError(
            f'{where}: sigmas must be {len(names)} positive numbers, one a keypoint'
        )
    halves = {'upper': coco.upper, 'lower': coco.lower} if coco else {}
    sigmas = tuple(float(sigma) for sigma in sigmas)
    return Skeleton(names, links, pairs, sigmas, **halves), tuple(notes)


def _read_pairs(
    category: Mapping[str, Any],
    key: str,
    names: tuple[str, ...],
    where: str,
    notes: list[str],
) -> tuple[Pair, ...]:
    """Pairs of names or of numbers, counted from 0."""
    ends = _ends(category, key)
    if ends is None:
        raise UserError(f'{where}: {key} must be a list of pairs')
    first = _first_number(category, key, names)
    if first == 0:
        notes.append(f'{key} counts keypoints from 0')
    places = []
    for end in ends:
        place = names.index(end) if end in names else -1
        if type(end) is int:
            place = end - first
        if not 0 <= place < len(names):
            raise UserError(
                f'{where}: {key} names keypoint {end!r}; there are {len(names)}'
            )
        places.append(place)
    return tuple(zip(places[::2], places[1::2], strict=True))


def _ends(category: Mapping[str, Any], key: str) -> list[Any] | None:
    """Both ends of each pair in turn; ``None`` for what is no list of pairs."""
    pairs = category.get(key) or []
    if not isinstance(pairs, list):
        return None
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return None
    return [end for pair in pairs for end in pair]


def _first_number(category: Mapping[str, Any], key: str, names: Sequence[str]) -> int:
    """The number, 0 or 1, that pairs call the first keypoint by.

    Flip pairs that are mirror images by their names from one of them alone count from
    it. Else a 0, or a number of as many as there are keypoints, tells: in these pairs,
    or in those of the other list.
    """
    own = _ends(category, key) or []
    if key == 'flip_pairs' and own and all(type(end) is int for end in own):
        mirrored = {frozenset(pair) for pair in mirror_pairs(names)}
        pairs = list(zip(own[::2], own[1::2], strict=True))
        fitting = [
            first
            for first in (0, 1)
            if {frozenset((a - first, b - first)) for a, b in pairs} <= mirrored
        ]
        if len(fitting) == 1:
            return fitting[0]
    other = 'skeleton' if key == 'flip_pairs' else 'flip_pairs'
    for ends in (own, _ends(category, other) or []):
        if 0 in ends:
            return 0
        if len(names) in ends:
            return 1
    return 1


def _words(name: str) -> tuple[str, ...]:
    """Lower-case words and numbers of a name, split where the case changes."""
    words = []
    for run in re.findall(r'[^\W\d_]+|\d+', name):
        starts = [
            i
            for i in range(1, len(run))
            # ear|Left and L|Eye
            if run[i].isupper()
            and (not run[i - 1].isupper() or run[i + 1 : i + 2].islower())
        ]
        words += [run[a:b] for a, b in pairwise([0, *starts, len(run)])]
    return tuple(word.lower() for word in words)


def _mirrored(word: str) -> str:
    if word in SIDES:
        return SIDES[word]
    for side in ('left', 'right'):
        if word.startswith(side):  # lefteye
            return SIDES[side] + word[len(side) :]
    return word
