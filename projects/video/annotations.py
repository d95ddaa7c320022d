"""Annotations of the video data sets, as they are downloaded.

Each reader takes a :class:`~projects.video.download.Download` and gives the lists that
the configs read, by their names in the data set's folder.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from projects.common.errors import UserError
from projects.video.download import Download, read_rows
from projects.video.files import read_lines

# What the files of a split are called in the various downloads.
WORDS = {'train': 'train', 'val': 'val(idat(e|ion))?', 'test': 'test'}


class Entry(NamedTuple):
    """One item of a list.

    Attributes:
        name: video file or frame folder, relative to the data set's folder.
        label: class index, in the order of the released checkpoints.
    """

    name: str
    label: int


Lists = dict[str, list[Entry]]


def read_kinetics(data: Download) -> Lists:
    """Official csv files, lists of the release, or else the folders of the classes.

    The test list is the validation list, as in the release.
    """
    lists: Lists = {}
    for split in ('train', 'val'):
        word = WORDS[split]
        if files := data.annotations(rf'(^|[^a-z]){word}\.(csv|txt)$'):
            rows = _kinetics_rows(data, files[0])
        else:
            rows = (
                Entry(name, data.label(Path(name).parent.name, data.root / name))
                for name in data.videos(split)
            )
        lists[f'{split}.csv'] = list(rows)
    return {**lists, 'test.csv': lists['val.csv']}


def _kinetics_rows(data: Download, path: Path) -> Iterator[Entry]:
    with path.open(newline='', encoding='utf-8-sig') as file:
        reader = csv.DictReader(file)
        if 'youtube_id' in (reader.fieldnames or []):
            for row in reader:
                if row.get('label'):  # the test set of some years has none
                    start, end = (
                        int(float(row[f'time_{x}'])) for x in ('start', 'end')
                    )
                    name = f'{row["youtube_id"]}_{start:06d}_{end:06d}.mp4'
                    label = data.label(row['label'], path)
                    yield Entry(data.locate(name), label)
            return
    _, first = next(read_lines(path), (1, ''))
    for name, label in read_rows(path, 2, ',' if ',' in first else None):
        yield Entry(data.locate(name), data.number(label, path))


def read_ucf101(data: Download) -> Lists:
    """``trainlist01.txt`` and ``testlist01.txt``, or lists of the release."""
    lists: Lists = {}
    for split in (1, 2, 3):
        for name, word in (('train', 'train'), ('val', '(test|val)')):
            files = data.annotations(rf'(^|/){word}list0?{split}\.txt$')
            files += data.annotations(rf'split{split}/{word}\.(csv|txt)$')
            if files:
                videos = [row[0] for row in read_rows(files[0], 1, None)]
                # The official test lists have no label; the folder is the class.
                lists[f'split{split}/{name}.csv'] = [
                    Entry(data.locate(v), data.label(v.split('/')[0], files[0]))
                    for v in (video.split('.avi')[0] + '.avi' for video in videos)
                ]
        if val := lists.get(f'split{split}/val.csv'):
            lists[f'split{split}/test.csv'] = val
    return lists


def read_hmdb51(data: Download) -> Lists:
    """``CLASS_test_split1.txt`` files, or lists of the release."""
    lists: Lists = {}
    for split in (1, 2, 3):
        for name in ('train', 'val'):
            entries: list[Entry] = []
            for path in data.annotations(rf'split{split}/{name}\.txt$'):
                entries += _release_rows(data, path)
            for path in data.annotations(rf'_test_split{split}\.txt$'):
                label = data.label(path.name.split('_test_split')[0], path)
                wanted = {'train': '1', 'val': '2'}[name]
                entries += [
                    Entry(data.locate(clip.removesuffix('.avi')), label)
                    for clip, part in read_rows(path, 2, None)
                    if part == wanted
                ]
            if entries:
                lists[f'split{split}/{name}.txt'] = entries
    return lists


def read_something(data: Download) -> Lists:
    """The official json (V2) or csv (V1) files, or lists of the release."""
    lists: Lists = {}
    for split, word in WORDS.items():
        files = data.annotations(rf'(^|[^a-z]){word}(_split)?\.(json|csv|txt)$')
        if files and files[0].suffix == '.txt':
            lists[f'{split}.txt'] = list(_release_rows(data, files[0]))
        elif files:
            lists[f'{split}.txt'] = [
                # The test set has no labels: 0 stands in, as in the released lists.
                Entry(data.locate(clip), data.label(name, files[0]) if name else 0)
                for clip, name in _something_clips(files[0])
            ]
    return lists


def _release_rows(data: Download, path: Path) -> Iterator[Entry]:
    """Lines ``clip num_frames label``; the frames are counted anew."""
    for clip, _, label in read_rows(path, 3, None):
        yield Entry(data.locate(clip), data.number(label, path))


def _something_clips(path: Path) -> Iterator[tuple[str, str]]:
    """Number and class of each clip of an official file; the class may be empty."""
    if path.suffix == '.csv':
        for (line,) in read_rows(path, 1, '\n'):
            clip, _, name = line.partition(';')
            yield clip.strip(), name.strip()
        return
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))
        pairs = [(str(item['id']), str(item.get('template', ''))) for item in content]
    except (ValueError, TypeError, KeyError) as error:
        what = f'{type(error).__name__}: {error}'
        raise UserError(
            f'{path}: not a json list of clips with "id" ({what})'
        ) from None
    yield from pairs
