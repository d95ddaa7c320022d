"""Which frames of a video make a clip: dense and segment sampling of the release.

These differ from mmaction2's ``SampleFrames``, which steps by exactly the stride, or
looks at the frame rate when asked for evenly spaced points, and loops a short video.
"""

from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform


def dense_indices(frames: int, clip_len: int, stride: int, start: float) -> np.ndarray:
    """Evenly spaced frames of a clip, both ends included.

    The spacing is ``(clip_len * stride - 1) / (clip_len - 1)``, a little more than the
    stride: 4.2 for 16x4. Past its end a short video stays on its last frame.

    Args:
        frames: frames in the video.
        clip_len: frames of the clip, T.
        stride: nominal distance of two of them; the clip spans ``T * stride`` frames.
        start: first frame, may lie between two.

    Shape:
        Returns ``(T,)`` int64, never decreasing, in ``[0, frames)``.

    Source:
        recipe of the release, dense sampling; the frame rate plays no part.

    Examples:
        >>> dense_indices(300, 4, 8, 2).tolist()
        [2, 12, 22, 33]
        >>> dense_indices(5, 4, 8, 0).tolist()
        [0, 4, 4, 4]
    """
    points = np.linspace(start, start + clip_len * stride - 1, clip_len)
    return np.clip(points, 0, frames - 1).astype(np.int64)


def dense_starts(frames: int, clip_len: int, stride: int, clips: int) -> list[int]:
    """First frames of the test clips: the centre for one, else spread from 0.

    Examples:
        >>> dense_starts(300, 16, 4, 4)
        [0, 78, 156, 234]
        >>> dense_starts(300, 16, 4, 1)
        [118]
    """
    room = max(frames - clip_len * stride, 0)
    if clips == 1:
        return [room // 2]
    return [clip * (room // (clips - 1)) for clip in range(clips)]


def segment_bounds(frames: int, clip_len: int) -> np.ndarray:
    """Ends of the segments that a video is divided into, halves rounded to even.

    Shape:
        Returns ``(clip_len + 1,)`` int64; segment i is ``bounds[i]`` to
        ``bounds[i + 1]``, both included.

    Examples:
        >>> segment_bounds(10, 4).tolist()
        [0, 2, 4, 7, 9]
    """
    size = (frames - 1) / clip_len
    return np.round(size * np.arange(clip_len + 1)).astype(np.int64)


class _Sample(BaseTransform):
    """What both samplers share: arguments, their check, and the keys they write."""

    def __init__(self, clip_len: int, num_clips: int, test_mode: bool) -> None:
        if clip_len < 1 or num_clips < 1:
            raise ValueError(
                f'clip_len and num_clips are at least 1, not {clip_len} and {num_clips}'
            )
        self.clip_len, self.num_clips = clip_len, num_clips
        self.test_mode = test_mode

    def indices(self, frames: int) -> np.ndarray:
        """Frame numbers from 0 of all clips, ``(num_clips, clip_len)``."""
        raise NotImplementedError

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        clips = self.indices(results['total_frames'])
        results['frame_inds'] = clips.reshape(-1) + results.get('start_index', 0)
        results['clip_len'] = self.clip_len
        results['num_clips'] = self.num_clips
        results['frame_interval'] = getattr(self, 'stride', None)
        return results

    def __repr__(self) -> str:
        settings = ', '.join(f'{key}={value!r}' for key, value in vars(self).items())
        return f'{type(self).__name__}({settings})'


@TRANSFORMS.register_module()
class DenseSample(_Sample):
    """Clips of evenly spaced frames, as for Kinetics, UCF101 and HMDB51.

    In training a clip starts anywhere, a real number, from 0 to the last place where it
    fits; in testing at the centre, or ``num_clips`` spread over the video. A video that
    is shorter than the clip repeats its last frame.

    Args:
        clip_len: frames of a clip.
        stride: nominal distance in frames; the frame rate plays no part.
        num_clips: clips of a video.
        test_mode: fixed places instead of random ones.

    Raises:
        ValueError: a number is below 1.

    Source:
        recipe of the release; see :func:`dense_indices`.
    """

    def __init__(
        self, clip_len: int, stride: int, num_clips: int = 1, test_mode: bool = False
    ) -> None:
        super().__init__(clip_len, num_clips, test_mode)
        if stride < 1:
            raise ValueError(f'stride is at least 1, not {stride}')
        self.stride = stride

    def indices(self, frames: int) -> np.ndarray:
        """Frame numbers from 0 of all clips, ``(num_clips, clip_len)``."""
        starts: list[float] | np.ndarray
        if self.test_mode:
            starts = dense_starts(frames, self.clip_len, self.stride, self.num_clips)
        else:
            room = max(frames - self.clip_len * self.stride, 0)
            starts = np.random.uniform(0, room, self.num_clips)  # noqa: NPY002 - seeded
        clips = [dense_indices(frames, self.clip_len, self.stride, s) for s in starts]
        return np.stack(clips)


@TRANSFORMS.register_module()
class SegmentSample(_Sample):
    """One frame of each of ``clip_len`` equal segments, as for Something-Something.

    In training a random frame of the segment; in testing clip v of V takes the frame
    ``(v + 1) / (V + 1)`` into it. Also the sampling of the light Kinetics models.

    Args:
        clip_len: frames of a clip.
        num_clips: clips of a video.
        test_mode: fixed places instead of random ones.

    Raises:
        ValueError: a number is below 1.

    Source:
        recipe of the release, uniform sampling.
    """

    def __init__(
        self, clip_len: int, num_clips: int = 1, test_mode: bool = False
    ) -> None:
        super().__init__(clip_len, num_clips, test_mode)

    def indices(self, frames: int) -> np.ndarray:
        """Frame numbers from 0 of all clips, ``(num_clips, clip_len)``."""
        bounds = segment_bounds(frames, self.clip_len)
        low, high = bounds[:-1], bounds[1:]
        if not self.test_mode:
            size = (self.num_clips, self.clip_len)
            return np.random.randint(low, high + 1, size)  # noqa: NPY002 - seeded
        step = (frames - 1) / self.clip_len / (self.num_clips + 1)
        return np.stack([low + int(step * (v + 1)) for v in range(self.num_clips)])
