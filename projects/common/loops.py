"""Training loops that continue in the middle of what they were doing.

mmengine's epoch loop starts the epoch of a resumed run again, so that it trains on its
first batches twice; its iteration loop reads and throws away every batch of the past.
Here the indices of the past are skipped, without reading anything.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.registry import LOOPS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch.utils.data import DataLoader


class SkippedBatches:
    """A batch sampler that leaves out its first batches, the first time it is used.

    Args:
        batches: the batch sampler.
        count: how many to leave out.
    """

    def __init__(self, batches: Iterable[list[int]], count: int) -> None:
        self._batches, self._count = batches, count

    def __iter__(self) -> Iterator[list[int]]:
        # A generator: loaders with workers make two iterators and use one.
        count, self._count = self._count, 0
        yield from islice(iter(self._batches), count, None)

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batches, name)


def skip_batches(loader: DataLoader, count: int) -> None:
    """Leave out the next batches of a loader; its workers must not have started."""
    # DataLoader forbids setting it, because its iterators take it over once: there is
    # none yet.
    vars(loader)['batch_sampler'] = SkippedBatches(loader.batch_sampler, count)


def use_seed(loader: DataLoader, seed: int | None) -> None:
    """Draw the order of the samples from the seed of the run that is continued."""
    sampler = loader.batch_sampler.sampler
    if seed is not None and getattr(sampler, 'seed', None) is not None:
        sampler.seed = seed


@LOOPS.register_module()
class ResumableEpochLoop(EpochBasedTrainLoop):
    """mmengine's loop; an epoch that was begun is gone on with."""

    def go_on(self, seed: int | None) -> None:
        """Continue at ``epoch`` and ``iter``, which a checkpoint has set.

        Args:
            seed: of the run that wrote it.
        """
        use_seed(self.dataloader, seed)
        done = self._done()
        if 0 < done <= len(self.dataloader):
            skip_batches(self.dataloader, done)

    def _done(self) -> int:
        """Batches of the current epoch that are trained on."""
        return self._iter - self._epoch * len(self.dataloader)

    def run_epoch(self) -> None:
        """Iterate what is left of one epoch."""
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        # The checkpoint of another loader (more GPUs, a larger batch) starts anew.
        done = self._done() if 0 < self._done() <= len(self.dataloader) else 0
        for index, batch in enumerate(self.dataloader, done):
            self.run_iter(index, batch)
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


class _FastForward:
    """The batches of a loop, with its past as empty batches that cost nothing."""

    def __init__(self, batches: Iterator[Any], count: int) -> None:
        self._batches, self._count = batches, count

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._count:
            self._count -= 1
            return None
        return next(self._batches)


@LOOPS.register_module()
class ResumableIterLoop(IterBasedTrainLoop):
    """mmengine's loop; what was trained on is skipped without being read."""

    def go_on(self, seed: int | None) -> None:
        """Continue at ``iter``, which a checkpoint has set.

        Args:
            seed: of the run that wrote it.
        """
        loader = self.dataloader
        sampler = loader.batch_sampler.sampler
        if not isinstance(sampler, InfiniteSampler):
            return  # mmengine knows where such a loader starts again
        use_seed(loader, seed)
        sampler.indices = sampler._indices_of_rank()
        # Workers have begun to read the first batches; others take their place.
        self.dataloader_iterator = loader._iterator = None
        skip_batches(loader, self._iter)
        self.dataloader_iterator = _FastForward(iter(loader), self._iter)


RESUMABLE = {
    'EpochBasedTrainLoop': 'ResumableEpochLoop',
    'IterBasedTrainLoop': 'ResumableIterLoop',
}
