"""From a data set as it was downloaded to the lists that the configs read."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from mmengine.logging import print_log

from projects.common.errors import UserError
from projects.video.annotations import (
    Entry,
    Lists,
    read_hmdb51,
    read_kinetics,
    read_something,
    read_ucf101,
)
from projects.video.download import Download
from projects.video.faults import VideoFault
from projects.video.files import find_videos, write_lists
from projects.video.frames import check_frames, extract_frames
from projects.video.index import check_opens
from projects.video.reader import open_video

REPORT = 'prepare_report.txt'
CHUNK = 16  # files that a process is handed at a time
T = TypeVar('T')
Track = Callable[[Iterator[T], int, str], Iterator[T]]


@dataclass(frozen=True)
class VideoSource:
    """A data set.

    Attributes:
        classes: its list of classes.
        read: reads its annotations.
        delimiter: between the parts of a line of the written lists.
        template: name of a frame, for a data set that is read as frames.
        fps: frames a second to extract from its videos; 0 for all as they are.
    """

    classes: str
    read: Callable[[Download], Lists]
    delimiter: str = ' '
    template: str = ''
    fps: float = 0


SOURCES: Mapping[str, VideoSource] = {
    'kinetics400': VideoSource('k400', read_kinetics, ','),
    'kinetics600': VideoSource('k600', read_kinetics, ','),
    'sthv1': VideoSource('sthv1', read_something, template='{:05}.jpg'),
    'sthv2': VideoSource('sthv2', read_something, template='img_{:05}.jpg', fps=30),
    'ucf101': VideoSource('ucf101', read_ucf101),
    'hmdb51': VideoSource('hmdb51', read_hmdb51, template='img_{:05}.jpg'),
}


class Check(NamedTuple):
    """What is known of one file or folder.

    Attributes:
        name: as in the lists.
        frames: how many, 0 where that was not looked at.
        seconds: duration, 0 where unknown.
        kind: kind of the fault, empty for none.
        what: what is wrong.
    """

    name: str
    frames: int = 0
    seconds: float = 0
    kind: str = ''
    what: str = ''


@dataclass(frozen=True)
class Report:
    """Result of a preparation.

    Attributes:
        lists: number of lines of each list that was written.
        checks: of all files, in the order of the lists.
        path: where the broken files are listed.
    """

    lists: dict[Path, int]
    checks: list[Check]
    path: Path

    @property
    def broken(self) -> list[Check]:
        """The files that are in no list because something is wrong with them."""
        return [check for check in self.checks if check.kind]

    def kinds(self) -> dict[str, int]:
        """Number of broken files of each kind, most frequent first."""
        return dict(Counter(check.kind for check in self.broken).most_common())


def prepare(
    name: str,
    root: Path,
    out: Path | None = None,
    labels_in: str = '',
    quick: bool = False,
    strict: bool = False,
    jobs: int = 0,
    track: Track | None = None,
) -> Report:
    """Read the annotations, check every file, write lists of the good ones.

    A list of which no file is good is left out with a warning.

    Args:
        name: one of ``SOURCES``.
        root: folder of the data set.
        out: folder for the lists; ``root`` by default.
        labels_in: list that numeric labels of the annotations are in; see
            :func:`projects.video.labels.class_names`.
        quick: files need only exist and open.
        strict: write no lists if anything is broken.
        jobs: processes; 0 for one per core.
        track: shows progress of an iterator, its length and a title.

    Raises:
        UserError: the folder is not laid out as documented, or, strict, a file is
            broken. The report of what is broken is written all the same.
    """
    source, out = SOURCES[name], out or root
    if not root.is_dir():
        raise UserError(
            f'{root}: no such folder; projects/video/DATA.md says what goes where'
        )
    data = Download(root, source.classes, labels_in, bool(source.template))
    lists = {key: rows for key, rows in source.read(data).items() if rows}
    if not lists:
        raise UserError(
            f'{root}: no annotations of {name}; put the files as they were downloaded '
            f'into {root / "annotations"}, see projects/video/DATA.md'
        )
    names = list(dict.fromkeys(entry.name for rows in lists.values() for entry in rows))
    check = partial(check_entry, root=root, template=source.template, quick=quick)
    checks = list(_in_parallel(check, names, jobs, track, 'checking'))
    report = Report({}, checks, out / REPORT)
    write_lists({report.path: _report_lines(report)})
    if strict and report.broken:
        first = report.broken[0]
        raise UserError(
            f'{len(report.broken)} of {len(checks)} are broken, the first is '
            f'{root / first.name}: {first.kind} ({first.what}); all of them are in '
            f'{report.path}; no lists were written'
        )
    return _write(lists, report, source, out)


def extract(
    name: str, root: Path, jobs: int = 0, track: Track | None = None
) -> list[Check]:
    """Extract the frames of all videos of a data set into ``root/frames``.

    Returns:
        One check per video; those that cannot be read have a kind.

    Raises:
        UserError: the data set is not read as frames, or there are no videos.
    """
    source = SOURCES[name]
    videos = find_videos(root)
    if not source.template:
        raise UserError(f'--extract: {name} is read from its videos, not from frames')
    if not videos:
        raise UserError(f'--extract: no videos in {root}')
    work = partial(_extract_one, root=root, source=source)
    return list(_in_parallel(work, videos, jobs, track, 'extracting'))


def check_entry(name: str, root: Path, template: str, quick: bool) -> Check:
    """Check one video file, or one folder of frames where there is a template.

    A video is opened and its frames are counted; unless quick, the first, the middle
    and the last frame are decoded.
    """
    path = root / name
    try:
        if template:
            return Check(name, check_frames(path, template, quick))
        if quick:
            check_opens(path)
            return Check(name)
        with open_video(path) as video:
            last = len(video) - 1
            video.read([0, last // 2, last])
            return Check(name, len(video), float(video.index.times[-1]))
    except VideoFault as fault:
        return Check(name, kind=fault.kind, what=fault.what)


def _extract_one(video: Path, root: Path, source: VideoSource) -> Check:
    name = video.relative_to(root).as_posix()
    folder = root / 'frames' / video.stem
    try:
        count = extract_frames(video, folder, source.template, source.fps)
    except VideoFault as fault:
        return Check(name, kind=fault.kind, what=fault.what)
    return Check(name, count)


def _in_parallel(
    work: Callable[[T], Check],
    items: list[T],
    jobs: int,
    track: Track | None,
    title: str,
) -> Iterator[Check]:
    """Results in the order of the items, from several processes."""
    jobs = jobs or os.cpu_count() or 1
    with ProcessPoolExecutor(min(jobs, len(items))) as pool:
        results = pool.map(work, items, chunksize=CHUNK)
        try:
            yield from track(results, len(items), title) if track else results
        except BrokenProcessPool:
            raise UserError(
                f'{title}: a process was killed, by a crash of the decoder or for want '
                'of memory; try --jobs 1 and --quick'
            ) from None


def _write(lists: Lists, report: Report, source: VideoSource, out: Path) -> Report:
    good = {check.name: check for check in report.checks if not check.kind}
    texts = {
        out / key: [
            _line(row, good[row.name], source) for row in rows if row.name in good
        ]
        for key, rows in lists.items()
    }
    counts = {path: len(lines) for path, lines in texts.items() if lines}
    if not counts:
        raise UserError(
            f'{out}: no lists were written, every file of them is missing or broken; '
            f'see {report.path}'
        )
    for path in (path for path in texts if path not in counts):
        print_log(
            f'{path}: not written, every file of it is missing or broken',
            logger='current',
            level=logging.WARNING,
        )
    write_lists({path: texts[path] for path in counts})
    return Report(counts, report.checks, report.path)


def _line(entry: Entry, check: Check, source: VideoSource) -> str:
    parts = [entry.name, entry.label]
    if source.template:
        parts.insert(1, check.frames)
    return source.delimiter.join(map(str, parts))


def _report_lines(report: Report) -> Iterator[str]:
    yield f'{len(report.checks)} checked, {len(report.broken)} broken'
    for kind, count in report.kinds().items():
        yield f'{count} {kind}'
    for check in report.broken:
        yield f'{check.kind}\t{check.name}\t{check.what}'
