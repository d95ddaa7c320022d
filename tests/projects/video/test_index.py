"""What the index finds missing in a file whose header counts no frames."""

import av
import pytest

from projects.video.faults import VideoFault
from projects.video.index import read_index
from tests.projects.video.clips import add_sound, write_clip

FRAMES = 50  # 2 seconds
CODECS = {'webm': 'libvpx', 'mkv': 'libx264', 'flv': 'libx264'}


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """Whole files: silent, and with sound a little or much longer than the picture."""
    folder = tmp_path_factory.mktemp('index')
    made = [
        write_clip(folder / f'0.{kind}', FRAMES, codec, b_frames=0)
        for kind, codec in CODECS.items()
    ]
    longer = [
        add_sound(path, path.with_stem(str(seconds)), seconds)
        for path in made[:2]
        for seconds in (2.1, 3.5)
    ]
    return {path.name: path for path in (*made, *longer)}


NAMES = ['0.webm', '0.mkv', '0.flv', '2.1.webm', '2.1.mkv', '3.5.webm', '3.5.mkv']


@pytest.mark.parametrize('name', NAMES)
def test_a_whole_file_is_told_from_its_first_half(clips, name, tmp_path):
    with av.open(str(clips[name])) as container:
        assert container.streams.video[0].frames == 0
    assert len(read_index(clips[name])) == FRAMES
    data = clips[name].read_bytes()
    half = tmp_path / name
    half.write_bytes(data[: len(data) // 2])
    with pytest.raises(VideoFault, match='s are there') as caught:
        read_index(half)
    assert caught.value.kind == 'truncated'
