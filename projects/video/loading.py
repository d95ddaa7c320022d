"""Transforms that read frames: of a video file, or of a folder of pictures."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
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
class ReadFrameFolder(BaseTransform):
    """Read the sampled frames of a folder of pictures.

    In place of mmaction2's ``RawFrameDecode``, which ends the run where a picture is
    missing or damaged, and does not say which.

    Shape:
        Reads ``frame_dir``, ``filename_tmpl``, ``frame_inds``; writes ``imgs``, a list
        of arrays ``(H, W, 3)`` uint8 RGB, ``img_shape`` and ``original_shape``.

    Raises:
        VideoFault: a picture is missing or damaged, or of another size.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        folder, template = results['frame_dir'], results['filename_tmpl']
        offset = results.get('offset', 0)
        names = [template.format(n + offset) for n in results['frame_inds']]
        images = {name: _read_picture(folder, name) for name in dict.fromkeys(names)}
        if len({image.shape for image in images.values()}) > 1:
            raise VideoFault('corrupt', folder, 'its pictures differ in size')
        results['imgs'] = list(np.stack([images[name] for name in names]))
        return _with_shape(results)


def _read_picture(folder: str, name: str) -> np.ndarray:
    """Picture ``(H, W, 3)`` uint8 RGB, as it is stored: no rotation by metadata."""
    path = Path(folder) / name
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError:
        raise VideoFault('missing', folder, f'no {name} in it') from None
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise VideoFault('corrupt', folder, f'{name} cannot be decoded')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _with_shape(results: dict[str, Any]) -> dict[str, Any]:
    results['img_shape'] = results['original_shape'] = results['imgs'][0].shape[:2]
    return results
