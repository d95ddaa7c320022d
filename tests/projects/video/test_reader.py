"""The decoding layer: the same frames from every decoder, whatever the file."""

import doctest
import importlib
from pathlib import Path

import av
import numpy as np
import pytest

from projects.common.errors import UserError
from projects.video import reader as reader_module
from projects.video.decoders import PyAVReader
from projects.video.faults import VideoFault
from projects.video.index import read_index
from projects.video.reader import READERS, check_backend, open_video, working_backends
from tests.projects.video.clips import (
    SIZE,
    copy_from,
    number_of,
    picture,
    write_clip,
    write_flipped,
    write_sizes,
    write_sound,
)

REAL = Path(__file__).resolve().parents[4] / 'shared/data/real/video'
BACKENDS = working_backends()
FRAMES = 60
# Seconds of each frame of the clips with a variable rate: 1 to 7 sixtieths apart.
STEPS = np.random.default_rng(0).integers(1, 8, FRAMES - 1)
TIMES = np.concatenate([[0], np.cumsum(STEPS)]) / 60
CLIPS = {
    'h264_gop12': dict(name='a.mp4'),
    'h264_gop250': dict(name='b.mp4', gop=250),
    'h264_no_b_frames': dict(name='n.mp4', b_frames=0),
    'mpeg4_avi': dict(name='c.avi', codec='mpeg4', b_frames=0),
    'mpeg4_avi_b_frames': dict(name='cb.avi', codec='mpeg4'),
    'mpeg4_mp4_b_frames': dict(name='cm.mp4', codec='mpeg4'),
    'odd_size': dict(name='o.mkv', codec='mpeg4', b_frames=0, size=(177, 81)),
    'vfr_mp4': dict(name='v.mp4', times=TIMES),
    'vfr_mkv': dict(name='v.mkv', times=TIMES),
    'av1': dict(name='1.mkv', codec='libsvtav1', b_frames=0),
}
# Frame numbers near key frames, at both ends, far apart, and one by one.
ASKED = [0, 1, 11, 12, 13, 24, 25, 26, 40, 47, 58, 59]


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp('clips')
    made = {}
    for kind, settings in CLIPS.items():
        options = {key: value for key, value in settings.items() if key != 'name'}
        made[kind] = write_clip(folder / settings['name'], FRAMES, **options)
    made['cut_gop12'] = copy_from(made['h264_gop12'], folder / 'e.mp4', 20)
    made['cut_gop250'] = copy_from(made['h264_gop250'], folder / 'f.mp4', 20)
    return made


def numbers(path, asked, backend):
    with open_video(path, backend) as video:
        return [number_of(frame) for frame in video.read(asked)]


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', CLIPS)
def test_every_decoder_gives_the_frames_asked_for(clips, kind, backend):
    with open_video(clips[kind], backend) as video:
        assert len(video) == FRAMES
        frames = video.read(ASKED)
        width, height = CLIPS[kind].get('size', (176, 80))
        assert frames.shape == (len(ASKED), height, width, 3)
        assert frames.dtype == np.uint8
    assert [number_of(frame) for frame in frames] == ASKED
    # Alone, each frame is found by a seek of its own.
    assert numbers(clips[kind], [25], backend) == [25]
    assert numbers(clips[kind], [59], backend) == [59]


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', CLIPS)
def test_decoders_differ_by_decoding_noise_only(clips, kind, backend):
    with open_video(clips[kind]) as ours, open_video(clips[kind], backend) as other:
        a, b = (video.read(ASKED).astype(int) for video in (ours, other))
    # Chroma is interpolated differently where a side is odd; else nothing differs.
    assert abs(a - b).mean() < (1 if kind == 'odd_size' else 0.2)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('kind', ['cut_gop12', 'cut_gop250'])
def test_clip_cut_by_stream_copy_has_its_displayable_frames(clips, kind, backend):
    with av.open(str(clips[kind])) as container:
        stream = container.streams.video[0]
        assert stream.frames > 40  # what the header says, hidden frames included
    with open_video(clips[kind], backend) as video:
        assert len(video) == 40
        assert video.index.discarded > 0
        found = [number_of(frame) for frame in video.read(range(40))]
    assert found == list(range(20, 60))


@pytest.mark.parametrize('kind', ['vfr_mp4', 'vfr_mkv'])
def test_variable_frame_rate_keeps_its_time_stamps(clips, kind):
    times = read_index(clips[kind]).times
    np.testing.assert_allclose(times, TIMES, atol=1e-3)  # Matroska counts milliseconds


def test_constant_frame_rate_has_even_time_stamps(clips):
    for kind in ('h264_gop12', 'mpeg4_avi', 'mpeg4_avi_b_frames'):
        times = read_index(clips[kind]).times
        np.testing.assert_allclose(times, np.arange(FRAMES) / 25, atol=1e-3)


@pytest.mark.parametrize('backend', BACKENDS)
def test_frames_come_in_any_order_and_repeats_do_not_share_memory(clips, backend):
    asked = [30, 2, 30, 59, 0]
    with open_video(clips['h264_gop12'], backend) as video:
        frames = video.read(asked)
        assert [number_of(frame) for frame in frames] == asked
        frames[0] = 0
        assert number_of(frames[2]) == 30
        again = video.read([5])
    assert number_of(again[0]) == 5


@pytest.mark.parametrize('backend', BACKENDS)
def test_rotated_video_is_turned_upright(tmp_path, backend):
    path = tmp_path / 'r.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 176, 80, 'yuv420p'
        stream.set_display_rotation(-90)
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(picture(number), 'rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with open_video(path, backend) as video:
        frame = video.read([3])[0]
    assert frame.shape == (176, 80, 3)
    assert number_of(np.rot90(frame, 1)) == 3


def test_known_wrong_decoders_are_not_used(clips):
    if 'decord' in BACKENDS:
        for kind in ('mpeg4_avi_b_frames', 'mpeg4_mp4_b_frames', 'cut_gop12'):
            with open_video(clips[kind], 'decord') as video:
                assert type(video) is PyAVReader
    for backend in {'decord', 'opencv'} & set(BACKENDS):
        with open_video(clips['av1'], backend) as video:
            assert type(video) is PyAVReader
    if 'torchcodec' in BACKENDS:
        with open_video(clips['mpeg4_avi_b_frames'], 'torchcodec') as video:
            assert type(video) is PyAVReader


def test_what_a_decoder_cannot_open_is_read_by_pyav(clips, monkeypatch):
    class Unable(PyAVReader):
        def __init__(self, index):
            raise Exception('DECORDError')

    monkeypatch.setitem(READERS, 'opencv', Unable)
    assert numbers(clips['h264_gop12'], [7], 'opencv') == [7]


@pytest.mark.parametrize('asked', [[], [-1], [60]])
def test_frame_that_does_not_exist_is_an_error(clips, asked):
    with open_video(clips['h264_gop12']) as video, pytest.raises(IndexError):
        video.read(asked)


@pytest.fixture(scope='module')
def broken(clips, tmp_path_factory):
    """Files with each kind of fault."""
    folder = tmp_path_factory.mktemp('broken')
    whole = clips['h264_gop12'].read_bytes()
    avi = clips['mpeg4_avi'].read_bytes()
    (folder / 'empty.mp4').touch()
    (folder / 'text.mp4').write_text('no video\n' * 100)
    (folder / 'cut.mp4').write_bytes(whole[: len(whole) * 6 // 10])
    (folder / 'cut.avi').write_bytes(avi[: len(avi) * 6 // 10])
    write_sound(folder / 'sound.mp4')
    write_sizes(folder / 'sizes.mkv', [SIZE, (96, 64)])
    for share in (0.3, 0.01):
        write_flipped(clips['h264_gop12'], folder / f'flip{share}.mp4', share=share)
    return folder


FAULTS = {
    'gone.mp4': 'missing',
    'empty.mp4': 'empty',
    'text.mp4': 'no video',
    'cut.mp4': 'truncated',
    'cut.avi': 'truncated',
    'sound.mp4': 'no pictures',
    'flip0.3.mp4': 'corrupt',
    'flip0.01.mp4': 'corrupt',
}


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('name', FAULTS)
def test_fault_is_told_by_kind_and_names_the_file(broken, name, backend):
    def read():
        with open_video(broken / name, backend) as video:
            video.read(range(60))

    with pytest.raises(VideoFault) as caught:
        read()
    assert caught.value.kind == FAULTS[name]
    assert str(caught.value).startswith(f'{broken / name}: {FAULTS[name]} (')
    assert '\n' not in str(caught.value)


def test_frames_of_several_sizes_are_a_fault(broken):
    with open_video(broken / 'sizes.mkv') as video:
        assert video.read([5, 9]).shape == (2, 64, 96, 3)
        with pytest.raises(VideoFault, match='its frames differ in size'):
            video.read([0, 9])


def test_backend_that_does_not_exist_gets_one_line(clips):
    with pytest.raises(UserError, match='choose one of pyav, torchcodec, decord'):
        open_video(clips['h264_gop12'], 'imageio')
    with pytest.raises(UserError, match='choose one of'):
        check_backend('imageio')


@pytest.mark.parametrize('failure', [ImportError, RuntimeError, OSError])
def test_backend_without_its_libraries_gets_one_line(clips, failure, monkeypatch):
    def fail(name):
        raise failure('Could not load libtorchcodec\n' * 9)

    monkeypatch.setattr(reader_module, 'import_module', fail)
    with pytest.raises(UserError, match='FFmpeg') as caught:
        check_backend('torchcodec')
    assert '\n' not in str(caught.value)
    assert working_backends() == []


def test_default_works_from_wheels_alone():
    assert BACKENDS[0] == 'pyav'
    assert next(iter(READERS)) == 'pyav'


@pytest.mark.parametrize(
    'name', ['annotations', 'frames', 'labels', 'sampling', 'files', 'download']
)
def test_examples_in_docstrings_hold(name):
    module = importlib.import_module(f'projects.video.{name}')
    assert doctest.testmod(module).failed == 0


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason='needs the real files')
@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    ('name', 'count', 'shape'),
    [
        ('arm_wrestling.mp4', 280, (256, 340, 3)),
        ('test.avi', 164, (240, 320, 3)),
        ('part_0.mp4', 32, (256, 340, 3)),
        ('test.mp4', 300, (256, 340, 3)),
    ],
)
def test_real_files_read_alike(name, count, shape, backend):
    asked = [0, 5, count // 2, count // 2 + 1, count - 1]
    with open_video(REAL / name) as ours, open_video(REAL / name, backend) as other:
        assert len(ours) == len(other) == count
        a, b = ours.read(asked), other.read(asked)
    assert a.shape == (5, *shape)
    assert abs(a.astype(int) - b).mean() < 0.5
    # One after the other from the start, what no seek can get wrong.
    with av.open(str(REAL / name)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == count
    for number, frame in zip(asked, a, strict=True):
        np.testing.assert_array_equal(frame, frames[number].to_ndarray(format='rgb24'))


@pytest.mark.slow
@pytest.mark.parametrize('backend', BACKENDS)
def test_memory_does_not_grow_over_two_thousand_clips(clips, backend):
    def resident():
        return int(Path('/proc/self/statm').read_text().split()[1]) * 4096 / 2**20

    paths = [clips['h264_gop12'], clips['mpeg4_avi'], clips['cut_gop12']]
    sizes = []
    for turn in range(2000):
        with open_video(paths[turn % 3], backend) as video:
            video.read(range(0, 40, 5))
        if turn % 100 == 99:
            sizes.append(resident())
    # The first hundreds fill the allocator's pools; a leak of one frame (42 kB) a clip
    # would be 63 MB after them.
    assert sizes[-1] - sizes[4] < 16, sizes
