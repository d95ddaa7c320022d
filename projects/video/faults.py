"""Videos that cannot be read: what is wrong with them, and what a run does about it.

A dataset replaces such an item by another one and says so in the sample; the hook
collects this from the batches, so it works with any number of workers and ranks.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner

from projects.common.errors import LoadingError

KINDS = {
    'missing': 'no such file or frame',
    'empty': '0 bytes',
    'no video': 'another format, e.g. text',
    'no pictures': 'sound only, or no frame',
    'truncated': 'cut off',
    'corrupt': 'damaged inside',
}
SHARE = 0.1
LISTED = 20  # files of a kind that are named in the log


class VideoFault(Exception):  # noqa: N818 - a fault of the file, not of the program
    """A file cannot be used.

    Args:
        kind: one of ``KINDS``.
        path: the file.
        what: what is wrong with it.
    """

    def __init__(self, kind: str, path: str | Path, what: str = '') -> None:
        super().__init__(kind, str(path), what)
        self.kind, self.path, self.what = kind, str(path), ' '.join(what.split())

    def __str__(self) -> str:
        return f'{self.path}: {self.kind} ({self.what or KINDS.get(self.kind, "")})'


class FaultLimitError(LoadingError):
    """The run stops because of the files that it could not read."""


@HOOKS.register_module()
class VideoFaultHook(Hook):
    """Count unreadable videos by kind, list them after each epoch, stop at too many.

    The count of an epoch is of distinct files of that epoch, of all ranks.

    Args:
        max_share: share of the videos of a dataset, 0 to 1, that may be unreadable.

    Raises:
        FaultLimitError: while running, with one line that names a file.
    """

    priority = 'NORMAL'

    def __init__(self, max_share: float = SHARE) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share is a share from 0 to 1, not {max_share}')
        self.max_share = max_share
        self._found: dict[str, dict[str, tuple[str, str]]] = {}

    def before_train(self, runner: Runner) -> None:
        self._found.clear()

    def before_train_epoch(self, runner: Runner) -> None:
        self._found['train'] = {}

    def before_val_epoch(self, runner: Runner) -> None:
        self._found['val'] = {}

    def before_test_epoch(self, runner: Runner) -> None:
        self._found['test'] = {}

    def _after_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = 'train',
    ) -> None:
        found = self._found.setdefault(mode, {})
        for fault in faults_of(data_batch):
            found[fault.path] = (fault.kind, fault.what)
        self._check_share(runner, mode, found)

    def after_train_epoch(self, runner: Runner) -> None:
        self._report(runner, 'train')

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self._report(runner, 'val')

    def after_test_epoch(self, runner: Runner, metrics: Any = None) -> None:
        self._report(runner, 'test')

    def _report(self, runner: Runner, mode: str) -> None:
        """List what the epoch met, on all ranks alike."""
        found: dict[str, tuple[str, str]] = {}
        for part in all_gather_object(self._found.get(mode, {})):
            found |= part
        if found:
            runner.logger.warning(describe_faults(found, mode))
        self._check_share(runner, mode, found)

    def _check_share(
        self, runner: Runner, mode: str, found: dict[str, tuple[str, str]]
    ) -> None:
        dataset = getattr(runner, f'{mode}_dataloader').dataset
        while hasattr(dataset, 'dataset'):  # a short run repeats a small list
            dataset = dataset.dataset
        total = len(dataset)
        if len(found) > self.max_share * total:
            path, (kind, what) = next(iter(found.items()))
            raise FaultLimitError(
                f'{len(found)} of the {total} {mode} videos cannot be read, more than '
                f'{self.max_share:.0%}; the first is {path}: {kind} ({what})'
            )


def describe_faults(found: dict[str, tuple[str, str]], where: str) -> str:
    """List of unreadable files by kind.

    Args:
        found: kind and reason of each file.
        where: what was read, e.g. ``'train'``.
    """
    counts = Counter(kind for kind, _ in found.values())
    text = ', '.join(f'{count} {kind}' for kind, count in counts.most_common())
    lines = [f'{where}: {len(found)} videos cannot be read and were replaced: {text}']
    for kind in counts:
        files = sorted(path for path, fault in found.items() if fault[0] == kind)
        lines += [f'  {kind}: {path} ({found[path][1]})' for path in files[:LISTED]]
        if len(files) > LISTED:
            lines.append(f'  {kind}: and {len(files) - LISTED} more')
    return '\n'.join(lines)


def attach_faults(sample: Any, faults: Sequence[VideoFault]) -> None:
    """Write faults into a packed sample, or the first of its augmentations."""
    first = sample[0] if isinstance(sample, list) else sample
    told = [(fault.kind, fault.path, fault.what) for fault in faults]
    if 'data_samples' in first:
        first['data_samples'].set_metainfo({'faults': told})
    else:
        first['faults'] = told


def faults_of(batch: Any) -> list[VideoFault]:
    """Faults that the samples of a collated batch tell of."""
    samples: Iterable[Any] = []
    if isinstance(batch, dict):
        samples = batch.get('data_samples', [])
    return [
        VideoFault(*fault)
        for sample in samples
        for fault in sample.metainfo.get('faults', [])
    ]
