"""Transforms that read frames: of a video file, or of a folder of pictures."""

from typing import Any

import numpy as np
from mmaction.datasets.transforms import RawFrameDecode
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from projects.video.faults import VideoFault
from projects.video.reader import check_backend, open_video


@TRANSFORMS.register_module()
class SampleVideo(BaseTransform):
    """Open a video, choose frames of it, read them, close it.

    One transform, so that a reader never outlives an item.

    Args:
        sample: config of the sampler, e.g. ``dict(type='DenseSample', ...)``.
        backend: decoder, one of ``projects.video.reader.READERS``.

    Shape:
        Reads ``filename``; writes ``total_frames``, ``imgs``, a list of
        ``num_clips * clip_len`` arrays ``(H, W, 3)`` uint8 RGB, ``frame_times`` in
        seconds, ``img_shape``, ``original_shape`` and what the sampler writes.

    Raises:
        UserError: the backend does not work on this machine.
        VideoFault: the file cannot be read.
    """

    def __init__(self, sample: dict[str, Any], backend: str = 'pyav') -> None:
        check_backend(backend)
        self.sample = TRANSFORMS.build(sample)
        self.backend = backend

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        with open_video(results['filename'], self.backend) as video:
            results['total_frames'] = len(video)
            results = self.sample(results)
            numbers = results['frame_inds'] - results.get('start_index', 0)
            # Views of one fresh array: repeated frames do not share memory, which
            # transforms that write in place rely on.
            results['imgs'] = list(video.read(numbers))
            results['frame_times'] = video.index.times[numbers].astype(np.float32)
        return _with_shape(results)

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.sample!r}, backend={self.backend!r})'


@TRANSFORMS.register_module()
class ReadFrameFolder(RawFrameDecode):
    """mmaction2's ``RawFrameDecode``, with faults told as :class:`VideoFault`.

    Raises:
        VideoFault: a picture is missing or damaged.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        folder = results['frame_dir']
        try:
            results = super().transform(results)
        except FileNotFoundError as error:
            what = f'no such file: {error.filename}' if error.filename else str(error)
            raise VideoFault('missing', folder, what) from None
        except (AttributeError, ValueError, OSError) as error:
            raise VideoFault('corrupt', folder, f'first frame: {error}') from None
        for number, image in zip(results['frame_inds'], results['imgs'], strict=True):
            if image is None:
                name = results['filename_tmpl'].format(number)
                raise VideoFault('corrupt', folder, f'{name} cannot be decoded')
        return results


def _with_shape(results: dict[str, Any]) -> dict[str, Any]:
    results['img_shape'] = results['original_shape'] = results['imgs'][0].shape[:2]
    return results
