"""Checkpoints that survive ``kill -9``: written whole; the newest whole one is found."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.runner import Runner


class DurableRunner(Runner):
    """mmengine's Runner; a checkpoint appears under its name only when complete."""

    def save_checkpoint(
        self, out_dir: str, filename: str, *args: Any, **kwargs: Any
    ) -> None:
        """Write beside the final name, then rename, which cannot be interrupted."""
        partial = f'{filename}.partial'
        super().save_checkpoint(out_dir, partial, *args, **kwargs)
        if is_main_process():
            os.replace(Path(out_dir) / partial, Path(out_dir) / filename)


def is_complete(path: Path) -> bool:
    """Whether a checkpoint was written to its end (its archive has a directory)."""
    return path.is_file() and zipfile.is_zipfile(path)


def newest_checkpoint(folder: Path) -> Path | None:
    """Complete checkpoint of a work dir that is furthest on; ``None`` if it has none.

    ``last_checkpoint`` is not trusted: a crash can leave it empty or pointing at a file
    that is gone.
    """
    steps = [
        (int(match[1]), path)
        for path in folder.glob('*.pth')
        if (match := re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name))
    ]
    steps.sort(key=lambda pair: (pair[1].stat().st_mtime, pair[0]), reverse=True)
    return next((path for _, path in steps if is_complete(path)), None)
