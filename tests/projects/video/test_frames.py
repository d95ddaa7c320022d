"""Folders of frames: extracted at the rate asked for, counted, checked."""

import cv2
import numpy as np
import pytest

from projects.video.faults import VideoFault
from projects.video.frames import (
    check_frames,
    count_frames,
    extract_frames,
    output_frames,
)
from projects.video.prepare import extract
from tests.projects.video.clips import number_of, write_clip


def test_frames_at_another_rate(tmp_path):
    # 12 frames a second to 30: each is shown for 2.5 ticks.
    path = write_clip(tmp_path / 'a.mp4', 12, fps=12)
    assert output_frames(np.arange(12) / 12, 30)[:8] == [0, 0, 0, 1, 1, 2, 2, 2]
    assert extract_frames(path, tmp_path / 'f', 'img_{:05}.jpg', 30) == 30
    assert count_frames(tmp_path / 'f', 'img_{:05}.jpg') == 30
    # As they are: every frame once, in order.
    assert extract_frames(path, tmp_path / 'g', '{:05}.jpg', 0) == 12
    found = [number_of(cv2.imread(str(p))) for p in sorted((tmp_path / 'g').iterdir())]
    assert found == list(range(12))


def test_extraction_of_a_broken_video_leaves_no_folder(tmp_path):
    (tmp_path / 'videos').mkdir()
    path = write_clip(tmp_path / 'videos/a.mp4', 20)
    path.write_bytes(path.read_bytes()[:3000])
    checks = extract('hmdb51', tmp_path, jobs=1)
    assert [check.kind for check in checks] == ['truncated']
    assert list((tmp_path / 'frames').glob('*')) == []


def test_gap_and_damage_are_told(tmp_path):
    folder, template = tmp_path / 'f', 'img_{:05}.jpg'
    extract_frames(write_clip(tmp_path / 'a.mp4', 5), folder, template, 0)
    assert check_frames(folder, template, quick=False) == 5
    (folder / 'img_00005.jpg').write_text('no picture')
    assert check_frames(folder, template, quick=True) == 5
    cases = [('corrupt', 'img_00005.jpg'), ('missing', 'img_00003.jpg')]
    for kind, name in cases:
        with pytest.raises(VideoFault, match=name) as caught:
            check_frames(folder, template, quick=False)
        assert caught.value.kind == kind
        (folder / 'img_00003.jpg').unlink(missing_ok=True)
    with pytest.raises(VideoFault, match='no such folder'):
        count_frames(tmp_path / 'g', template)
