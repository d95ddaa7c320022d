"""Class names of the data sets in the order of the released checkpoints.

Kinetics checkpoints of the release do **not** follow the alphabetical order of most
label lists: index 0 is 'riding a bike' for Kinetics-400 and 'feeding fish' for
Kinetics-600. The lists of this project do, under the name of the data set; the
alphabetical order has the suffix ``_alphabetical``.

Source:
    ``video_classification/data_list`` of the official repository: category files of
    Kinetics-400, Kinetics-600 (names with the brackets of the data set's own lists) and
    Something-Something; ``classInd.txt`` of UCF101; the classes of HMDB51.
"""

import re
from functools import cache
from pathlib import Path

from projects.common.errors import UserError
from projects.video.files import read_lines

FOLDER = Path(__file__).parent / 'label_maps'
DATASETS = ('k400', 'k600', 'sthv1', 'sthv2', 'ucf101', 'hmdb51')
ALPHABETICAL = '_alphabetical'


@cache
def class_names(name: str) -> tuple[str, ...]:
    """Class names of a data set, or of a file with one name a line.

    Args:
        name: ``'k400'``, ``'k600'``, ``'sthv1'``, ``'sthv2'``, ``'ucf101'``,
            ``'hmdb51'``, in the order of the released checkpoints; with
            ``'_alphabetical'`` behind it, sorted; or the path of a ``.txt`` file.

    Raises:
        UserError: there is no such list.

    Examples:
        >>> class_names('k400')[0], class_names('k400_alphabetical')[6]
        ('riding a bike', 'arm wrestling')
    """
    base = name.removesuffix(ALPHABETICAL)
    path = FOLDER / f'{base}.txt' if base in DATASETS else Path(name)
    if not path.is_file():
        raise UserError(
            f'{name}: no such list of classes; known are {", ".join(DATASETS)}, each '
            f"also with '{ALPHABETICAL}', or the path of a text file"
        )
    names = [line for _, line in read_lines(path)]
    return tuple(sorted(names) if base != name else names)


def normalized(name: str) -> str:
    """A class name without case, blanks and punctuation, to compare spellings by.

    Examples:
        >>> normalized("massaging person's head"), normalized('hurling (sport)')
        ('massagingpersonshead', 'hurlingsport')
    """
    return re.sub(r'[^a-z0-9]', '', name.lower())


def label_map(source: str, target: str) -> tuple[int, ...]:
    """Index in one list of each class of another, matched by name.

    Args:
        source: list that labels or scores are in.
        target: list that they are wanted in.

    Returns:
        For each index of ``source`` the index in ``target``.

    Raises:
        UserError: a class of ``source`` is not in ``target``.

    Examples:
        >>> label_map('k400_alphabetical', 'k400')[6]  # arm wrestling
        202
    """
    places = {normalized(name): i for i, name in enumerate(class_names(target))}
    names = class_names(source)
    lost = [name for name in names if normalized(name) not in places]
    if lost:
        raise UserError(
            f'{target} lacks {len(lost)} of the {len(names)} classes of {source}, the '
            f'first is {lost[0]!r}'
        )
    return tuple(places[normalized(name)] for name in names)
