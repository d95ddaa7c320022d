"""A user's own videos: class-named folders, or lists in the Kinetics form."""

from dataclasses import dataclass
from pathlib import Path

from projects.common.class_folders import VAL_NAMES, find_class_folders, list_folder
from projects.common.errors import UserError
from projects.video.files import find_videos, write_lists
from projects.video.labels import class_names

LAYOUT = """  {root}/CLASS/*.mp4                     (split 80/20 by file name), or
  {root}/train/CLASS/*.mp4 and {root}/val/CLASS/*.mp4, or
  {root}/train.csv and {root}/val.csv    (lines name.mp4,label), with the names of the
                                         classes in {root}/classes.txt, one a line"""


@dataclass(frozen=True)
class VideoLists:
    """What a folder of videos became.

    Attributes:
        root: folder that the names in the lists are relative to.
        train: list of the training videos, ``name,label``.
        val: list of the videos to validate on.
        classes: class names in the order of their labels.
    """

    root: Path
    train: Path
    val: Path
    classes: tuple[str, ...]


def find_lists(root: str | Path, out: Path | None = None) -> VideoLists:
    """Make lists of a folder of videos, or take those it has.

    Class folders are those of
    :func:`~projects.common.class_folders.find_class_folders`; a ``train.csv`` goes
    before them.

    Args:
        root: the folder.
        out: where the lists are written; by default a cache folder, so that the data
            stay untouched.

    Raises:
        UserError: the folder is not laid out as ``LAYOUT`` says.
    """
    root = Path(root)
    if (root / 'train.csv').is_file():
        return _ready_lists(root)
    found = find_class_folders(root, find_videos, 'videos', LAYOUT)
    out = out or list_folder(root)
    write_lists(
        {
            out / 'train.csv': [f'{name},{label}' for name, label in found.train],
            out / 'val.csv': [f'{name},{label}' for name, label in found.val],
            out / 'classes.txt': found.classes,
        }
    )
    return VideoLists(root, out / 'train.csv', out / 'val.csv', found.classes)


def _ready_lists(root: Path) -> VideoLists:
    """Lists that the folder brings along."""
    names = [name for name in VAL_NAMES if (root / f'{name}.csv').is_file()]
    if not names:
        raise UserError(f'{root}: has train.csv but no val.csv')
    labels = root / 'classes.txt'
    if not labels.is_file():
        raise UserError(f'{labels}: missing; the names of the classes, one a line')
    train, val = root / 'train.csv', root / f'{names[0]}.csv'
    return VideoLists(root, train, val, class_names(str(labels)))
