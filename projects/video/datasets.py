"""Lists of videos and of frame folders, with repeated augmentation and fault policy."""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmaction.datasets import RawframeDataset, VideoDataset
from mmaction.registry import DATASETS

from projects.common.errors import UserError
from projects.video.faults import FaultLimitError, VideoFault, attach_faults
from projects.video.files import read_lines
from projects.video.labels import class_names, label_map

Step = dict[str, Any] | Callable[..., Any]
TRIES = 100  # items that are tried in place of an unreadable one


class _Clips:
    """What both kinds of list share.

    Args:
        sample: config of the sampler, such as ``dict(type='DenseSample', ...)``. The
            pipeline then starts with the frames; with ``None`` it has to read them.
        classes: class names, or the name of a list of :mod:`projects.video.labels`.
        labels_in: list that the labels of the file are in, where that is another one
            than ``classes``; they are mapped by name.
        num_repeats: augmentations of each decoded clip. Above 1 an item is a list, and
            the loader's ``collate_fn`` must be ``repeat_pseudo_collate``: the repeats
            become neighbours in the batch, which grows by this factor.
        strict: raise at the first unreadable file instead of replacing it.

    Raises:
        UserError: the list is missing or a line of it is no good.
        FaultLimitError: strict, and a file cannot be read; or none of many can.
    """

    list_classes = staticmethod(class_names)

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Step],
        *args: Any,
        sample: dict[str, Any] | None = None,
        classes: str | Sequence[str] | None = None,
        labels_in: str | None = None,
        num_repeats: int = 1,
        strict: bool = False,
        metainfo: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if num_repeats < 1 or (num_repeats > 1 and kwargs.get('test_mode')):
            raise ValueError(
                f'num_repeats={num_repeats}: at least 1, and 1 in test mode'
            )
        self.num_repeats, self.strict = num_repeats, strict
        metainfo = dict(metainfo or {})
        if classes is not None:
            names = self.list_classes(classes) if isinstance(classes, str) else classes
            metainfo['classes'] = tuple(names)
        self._labels: tuple[int, ...] | None = None
        if labels_in is not None and labels_in != classes:
            if not isinstance(classes, str):
                raise ValueError('labels_in: classes must name a list to map to')
            self._labels = label_map(labels_in, classes)
        if sample is not None:
            pipeline = [*self._readers(sample), *pipeline]
        super().__init__(ann_file, pipeline, *args, metainfo=metainfo, **kwargs)

    def _readers(self, sample: dict[str, Any]) -> list[Step]:
        """Transforms that come before a pipeline which starts with the frames."""
        raise NotImplementedError

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on an item, or on others until one can be read.

        Which item takes the place of an unreadable one depends on its index alone.
        """
        faults: list[VideoFault] = []
        for place in self._places(idx):
            try:
                sample = self._run(place)
            except VideoFault as fault:
                if self.strict:
                    raise FaultLimitError(str(fault)) from None
                faults.append(fault)
                continue
            if faults and sample is not None:
                attach_faults(sample, faults)
            return sample
        raise FaultLimitError(
            f'{self.ann_file}: {len(faults)} of its {len(self)} videos in a row cannot '
            f'be read, the first is {faults[0]}'
        )

    def _places(self, idx: int) -> Iterator[int]:
        """An index, then others far from it and from each other."""
        count = len(self)
        if not -count <= idx < count:  # which also ends a loop over the dataset
            raise IndexError(f'{self.ann_file} has {count} videos, no number {idx}')
        step = max(round(count * 0.618), 1)
        while math.gcd(step, count) > 1:
            step -= 1
        return ((idx + k * step) % count for k in range(min(TRIES, count)))

    def _run(self, idx: int) -> Any:
        """Decode once, augment ``num_repeats`` times."""
        results, transforms = self.get_data_info(idx), list(self.pipeline.transforms)
        while transforms and 'imgs' not in results:
            results = transforms.pop(0)(results)
        samples = []
        for repeat in range(self.num_repeats):
            last = repeat == self.num_repeats - 1
            sample = results if last else _copy(results)
            samples.append(_apply(transforms, sample))
        if None in samples:
            return None
        return samples[0] if self.num_repeats == 1 else samples

    def _lines(self, fields: int, delimiter: str | None) -> Iterator[list[str]]:
        """Lines of the list, split from the right: a name may hold the delimiter."""
        path = Path(self.ann_file)
        if not path.is_file():
            raise UserError(f'{path}: no such list of videos')
        for number, line in read_lines(path):
            parts = line.rsplit(delimiter, fields - 1)
            good = len(parts) == fields and all(_is_int(part) for part in parts[1:])
            if not good:
                shape = (delimiter or ' ').join(['name', '1', '2'][:fields])
                raise UserError(
                    f'{path}:{number}: expected a line like {shape!r}, not {line!r}'
                )
            yield [parts[0], *self._mapped(parts[1:], f'{path}:{number}')]

    def _mapped(self, numbers: list[str], where: str) -> list[str]:
        """Check the numbers; map the last, the label, to the order of the classes."""
        *counts, label = numbers
        if any(int(frames) < 1 for frames in counts):
            raise UserError(f'{where}: {counts[0]} frames; a clip has at least 1')
        classes = self.metainfo.get('classes')
        count = len(self._labels or classes or ())
        if count and not 0 <= int(label) < count:
            raise UserError(f'{where}: label {label}, but there are {count} classes')
        if self._labels is not None:
            label = str(self._labels[int(label)])
        return [*counts, label]


@DATASETS.register_module()
class VideoListDataset(_Clips, VideoDataset):
    """Video files: a line is a file name and a label.

    Args:
        ann_file: the list: ``name.mp4,label`` for Kinetics, ``Class/v.avi label`` for
            UCF101.
        pipeline: transforms of the frames; without ``sample``, the first of them is
            :class:`~projects.video.loading.SampleVideo`.
        delimiter: what stands between name and label.
        backend: decoder, one of ``projects.video.reader.READERS``.
        kwargs: those of ``_Clips`` and of mmaction2's ``VideoDataset``.

    Raises:
        UserError: the list is missing, or a line has another form or label.
    """

    def __init__(
        self,
        ann_file: str,
        pipeline: Sequence[Step],
        delimiter: str = ',',
        backend: str = 'pyav',
        **kwargs: Any,
    ) -> None:
        self.backend = backend
        super().__init__(ann_file, pipeline, delimiter=delimiter, **kwargs)

    def _readers(self, sample: dict[str, Any]) -> list[Step]:
        return [{'type': 'SampleVideo', 'sample': sample, 'backend': self.backend}]

    def load_data_list(self) -> list[dict[str, Any]]:
        folder = Path(self.data_prefix.get('video') or '')
        return [
            {'filename': str(folder / name), 'label': int(label)}
            for name, label in self._lines(2, self.delimiter)
        ]


@DATASETS.register_module()
class FrameListDataset(_Clips, RawframeDataset):
    """Folders of frames: a line is ``folder num_frames label``, as for HMDB51.

    Args:
        ann_file: the list.
        pipeline: transforms of the frames; without ``sample``, a sampler and
            :class:`~projects.video.loading.ReadFrameFolder` come first.
        filename_tmpl: name of a frame; Something-Something V1 has ``'{:05}.jpg'``.
        start_index: number of the first frame.
        kwargs: those of ``_Clips`` and of mmaction2's ``RawframeDataset``.

    Raises:
        UserError: the list is missing, or a line has another form or label.
    """

    def _readers(self, sample: dict[str, Any]) -> list[Step]:
        return [sample, {'type': 'ReadFrameFolder'}]

    def load_data_list(self) -> list[dict[str, Any]]:
        folder = Path(self.data_prefix.get('img') or '')
        return [
            {
                'frame_dir': str(folder / name),
                'total_frames': int(frames),
                'label': int(label),
            }
            for name, frames, label in self._lines(3, None)
        ]


def _apply(transforms: Sequence[Callable[[Any], Any]], sample: Any) -> Any:
    for transform in transforms:
        sample = transform(sample)
        if sample is None:
            return None
    return sample


def _copy(results: dict[str, Any]) -> dict[str, Any]:
    """Copy that shares nothing with the original: transforms write in place."""
    images = [image.copy() for image in results['imgs']]
    others = {key: value for key, value in results.items() if key != 'imgs'}
    return {**deepcopy(others), 'imgs': images}


def _is_int(text: str) -> bool:
    return text.strip().lstrip('-').isdigit()
