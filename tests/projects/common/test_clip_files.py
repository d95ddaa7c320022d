"""The generated clips as files: H.264, Kinetics layout, the cache."""

import json
from types import MappingProxyType

import av
import cv2
import numpy as np
import pytest

from projects.common.world import clips, demo_world
from projects.common.world.clips import (
    CLIP_CLASSES,
    encode_mp4,
    sample_clip,
    write_kinetics,
)

TINY = MappingProxyType({'num_train': 9, 'num_val': 8, 'size': (64, 80)})


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return write_kinetics(tmp_path_factory.mktemp('clips'), num_frames=8, **TINY)


def read_mp4(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]


def test_clips_are_h264_mp4_that_decodes_to_what_was_drawn(world):
    rows = (world / 'train.csv').read_text().splitlines()
    for index, row in enumerate(rows[:4]):
        path = world / row.split(',')[0]
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == 'h264'
            assert stream.codec_context.pix_fmt == 'yuv420p'
            assert (stream.width, stream.height) == (80, 64)
            assert stream.average_rate == 25
            assert stream.frames == 8
            times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert [float(time) for time in times] == pytest.approx(np.arange(8) / 25)
        drawn = list(sample_clip(0, 'train', index, (64, 80), 8).frames())
        for frame, truth in zip(read_mp4(path), drawn, strict=True):
            assert cv2.PSNR(frame, truth) > 27  # colours at half the size


def test_opencv_and_decord_count_the_same_frames(world):
    decord = pytest.importorskip('decord')
    path = str(world / 'val' / '000000.mp4')
    assert int(cv2.VideoCapture(path).get(cv2.CAP_PROP_FRAME_COUNT)) == 8
    assert len(decord.VideoReader(path)) == 8


def test_layout_is_that_of_kinetics(world):
    names = (world / 'classes.txt').read_text().splitlines()
    assert tuple(names) == CLIP_CLASSES
    for split, count in (('train', 9), ('val', 8)):
        lines = (world / f'{split}.csv').read_text().splitlines()
        files, labels = zip(*(line.split(',') for line in lines), strict=True)
        assert len(files) == count
        assert [int(label) for label in labels] == [i % 8 for i in range(count)]
        assert all((world / file).stat().st_size > 500 for file in files)
        assert len(list((world / split).iterdir())) == count
    assert (world / 'test.csv').read_bytes() == (world / 'val.csv').read_bytes()


def test_clip_depends_on_seed_split_and_index_alone(tmp_path, world):
    more = write_kinetics(tmp_path / 'b', 10, 8, size=(64, 80), num_frames=8)
    for path in sorted(world.rglob('*.mp4')):
        assert (more / path.relative_to(world)).read_bytes() == path.read_bytes()
    bodies = {path.read_bytes() for path in world.rglob('*.mp4')}
    assert len(bodies) == 17
    other = next(sample_clip(1, 'train', 0).frames())
    assert not np.array_equal(other, next(sample_clip(0, 'train', 0).frames()))


def test_demo_world_knows_kinetics(tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path))
    small = dict(num_train=1, num_val=1, num_frames=2, size=(64, 64))
    folder = demo_world('kinetics', **small)
    assert (folder / 'val.csv').read_text() == 'val/000000.mp4,0\n'
    params = json.loads((folder / 'world.json').read_text())['params']
    assert params == {**small, 'size': [64, 64], 'seed': 0, 'fps': 25}
    assert demo_world('kinetics', **small) == folder


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        ({'num_train': 0}, 'counts must be >= 1'),
        ({'fps': 0}, 'fps must be >= 1'),
        ({'size': (97, 128)}, 'size must be'),
        ({'size': (32, 128)}, 'size must be'),
        ({'num_frames': 1}, 'num_frames must be >= 2'),
        ({'seed': -1}, 'seed and index must be >= 0'),
    ],
)
def test_bad_parameters_are_named(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        write_kinetics(tmp_path, **wrong)


def test_full_disk_is_an_os_error(tmp_path, monkeypatch):
    def refuse(path, data):
        raise OSError(28, 'No space left on device', str(path))

    monkeypatch.setattr(clips.Path, 'write_bytes', refuse)
    with pytest.raises(OSError, match='No space left'):
        write_kinetics(tmp_path, 1, 1, num_frames=2, size=(64, 64))


def test_encoding_the_same_frames_gives_the_same_bytes():
    frames = list(sample_clip(0, 'val', 5, (64, 64), 6).frames())
    assert encode_mp4(frames) == encode_mp4(frames)
