"""Frame sampling against the arithmetic of the recipe, written out anew here."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

import projects.video  # noqa: F401 - registers
from projects.video.sampling import DenseSample, SegmentSample

LENGTHS = [1, 5, 16, 250]
RECIPES = [(8, 8), (16, 4), (16, 8), (32, 4)]


def sample(transform, frames, start_index=0):
    return transform({'total_frames': frames, 'start_index': start_index})


def dense(frames, clip_len, stride, start):
    """T points from start to start + T s - 1 inclusive, in exact fractions."""
    step = Fraction(clip_len * stride - 1, clip_len - 1)
    points = [Fraction(start) + i * step for i in range(clip_len)]
    return [floor(min(max(point, 0), frames - 1)) for point in points]


def half_even(value):
    return round(Fraction(value))  # Python rounds halves to even, as numpy does


@pytest.mark.parametrize('frames', LENGTHS)
@pytest.mark.parametrize(('clip_len', 'stride'), RECIPES)
@pytest.mark.parametrize('clips', [1, 2, 4, 5])
def test_dense_test_clips(frames, clip_len, stride, clips):
    transform = DenseSample(clip_len, stride, clips, test_mode=True)
    results = sample(transform, frames)
    delta = max(frames - clip_len * stride, 0)
    expected = []
    for v in range(clips):
        start = delta // 2 if clips == 1 else v * (delta // (clips - 1))
        expected += dense(frames, clip_len, stride, start)
    assert results['frame_inds'].tolist() == expected
    assert results['clip_len'] == clip_len
    assert results['num_clips'] == clips
    assert results['frame_interval'] == stride


@pytest.mark.parametrize('frames', LENGTHS)
@pytest.mark.parametrize(('clip_len', 'stride'), RECIPES)
def test_dense_train_clips_start_at_a_real_number(
    frames, clip_len, stride, monkeypatch
):
    delta = max(frames - clip_len * stride, 0)
    for share in (0, 0.13, 0.5, 0.999):
        monkeypatch.setattr(
            np.random,
            'uniform',
            lambda low, high, size, s=share: np.full(size, low + s * (high - low)),
        )
        found = sample(DenseSample(clip_len, stride), frames)['frame_inds']
        assert found.tolist() == dense(frames, clip_len, stride, share * delta)


def test_dense_train_clips_cover_every_start():
    np.random.seed(0)  # noqa: NPY002 - the generator that the workers seed
    firsts = [
        sample(DenseSample(16, 4), 100)['frame_inds'][0].item() for _ in range(2000)
    ]
    assert set(firsts) == set(range(36))  # delta = 36; 36 itself has measure zero


def test_dense_known_values():
    # 250 frames, 16x4: delta 186, centre 93; spacing 63 / 15 = 4.2.
    found = sample(DenseSample(16, 4, test_mode=True), 250)['frame_inds']
    assert found[:6].tolist() == [93, 97, 101, 105, 109, 114]
    assert found[-1] == 93 + 63
    # 4 clips: floor(186 / 3) = 62 apart.
    found = sample(DenseSample(16, 4, 4, test_mode=True), 250)['frame_inds']
    assert found[::16].tolist() == [0, 62, 124, 186]
    # 5 frames: 0, 4.2 -> 4, then the last frame.
    found = sample(DenseSample(16, 4, test_mode=True), 5)['frame_inds']
    assert found.tolist() == [0] + [4] * 15


@pytest.mark.parametrize('frames', LENGTHS)
@pytest.mark.parametrize('clip_len', [4, 8, 16, 32])
@pytest.mark.parametrize('clips', [1, 2, 3])
def test_segment_test_clips(frames, clip_len, clips):
    results = sample(SegmentSample(clip_len, clips, test_mode=True), frames)
    seg = Fraction(frames - 1, clip_len)
    expected = [
        half_even(seg * i) + int(seg / (clips + 1) * (v + 1))
        for v in range(clips)
        for i in range(clip_len)
    ]
    assert results['frame_inds'].tolist() == expected
    assert results['clip_len'] == clip_len
    assert results['num_clips'] == clips


@pytest.mark.parametrize('frames', LENGTHS)
@pytest.mark.parametrize('clip_len', [8, 16])
def test_segment_train_clips_take_one_frame_of_each_segment(frames, clip_len):
    np.random.seed(0)  # noqa: NPY002
    seg = Fraction(frames - 1, clip_len)
    seen = [set() for _ in range(clip_len)]
    for _ in range(1500):
        for i, frame in enumerate(
            sample(SegmentSample(clip_len), frames)['frame_inds']
        ):
            seen[i].add(int(frame))
    for i in range(clip_len):
        low, high = half_even(seg * i), half_even(seg * (i + 1))
        assert seen[i] == set(range(low, high + 1)), i  # both ends, nothing else


@pytest.mark.parametrize('frames', [1, 2, 3, 5, 15, 16, 17, 63, 64, 65, 250])
@pytest.mark.parametrize('test_mode', [False, True])
@pytest.mark.parametrize(
    'build',
    [
        lambda mode: DenseSample(16, 4, 3, mode),
        lambda mode: DenseSample(8, 8, 1, mode),
        lambda mode: SegmentSample(16, 3, mode),
        lambda mode: SegmentSample(8, 1, mode),
    ],
)
def test_time_never_runs_backwards_and_every_frame_exists(frames, test_mode, build):
    transform = build(test_mode)
    for _ in range(20):
        found = sample(transform, frames)['frame_inds']
        clips = found.reshape(transform.num_clips, transform.clip_len)
        assert (np.diff(clips) >= 0).all()
        assert found.min() >= 0
        assert found.max() <= frames - 1


def test_frame_files_are_counted_from_their_first_number():
    transform = DenseSample(4, 2, test_mode=True)
    from_zero = sample(transform, 20)['frame_inds']
    from_one = sample(transform, 20, start_index=1)['frame_inds']
    assert (from_one - from_zero).tolist() == [1] * 4


def test_frame_rate_plays_no_part():
    transform = DenseSample(16, 4, test_mode=True)
    slow, fast = ({'total_frames': 250, 'avg_fps': fps} for fps in (5, 60))
    np.testing.assert_array_equal(
        transform(slow)['frame_inds'], transform(fast)['frame_inds']
    )


@pytest.mark.parametrize(
    'settings',
    [
        dict(type='DenseSample', clip_len=0, stride=4),
        dict(type='DenseSample', clip_len=4, stride=0),
        dict(type='DenseSample', clip_len=4, stride=4, num_clips=0),
        dict(type='SegmentSample', clip_len=4, num_clips=0),
    ],
)
def test_numbers_below_one_are_refused(settings):
    with pytest.raises(ValueError, match='at least 1'):
        TRANSFORMS.build(settings)


def test_one_frame_clip():
    assert sample(DenseSample(1, 4, test_mode=True), 9)['frame_inds'].tolist() == [2]
