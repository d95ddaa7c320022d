"""The tool that makes lists of a video data set: what it writes, what it says."""

import pytest

from projects.video.reader import open_video
from tests.projects.video.clips import write_clip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Kinetics with one good video and three that are not."""
    root = tmp_path_factory.mktemp('kinetics')
    (root / 'annotations').mkdir()
    clip = write_clip(root / 'good.mp4', 20)
    (root / 'cut.mp4').write_bytes(clip.read_bytes()[:3000])
    (root / 'empty.mp4').touch()
    text = 'good.mp4,0\ncut.mp4,1\nempty.mp4,2\ngone.mp4,3\n'
    (root / 'annotations/train.csv').write_text(text)
    (root / 'annotations/val.csv').write_text('good.mp4,0\n')
    return root


def test_it_writes_lists_and_says_what_is_broken(folder, tmp_path, call):
    options = '--out', tmp_path, '--jobs', 2
    code, out, err = call('prepare_video', 'kinetics400', folder, *options)
    assert (code, err) == (0, '')
    assert '4 checked, 3 broken: 1 empty, 1 missing, 1 truncated' in out
    assert 'truncated: cut.mp4' in out
    assert 'frames: 20 to 20, median 20' in out
    name, _ = (tmp_path / 'train.csv').read_text().strip().rsplit(',', 1)
    with open_video(folder / name) as video:
        assert len(video) == 20


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--strict', '--jobs', 1], 'error: 3 of 4 are broken'),
        (['--labels-in', 'k401'], 'error: k401: no such list of classes'),
        (['--extract'], 'error: --extract: kinetics400 is read from its videos'),
    ],
)
def test_it_ends_in_one_line_and_exit_2(folder, call, options, message):
    code, _, err = call('prepare_video', 'kinetics400', folder, *options)
    assert code == 2
    (line,) = err.splitlines()
    assert line.startswith(message)
