"""The world in motion: what a frame cannot tell, H.264 files, Kinetics' layout."""

import json
from dataclasses import replace
from types import MappingProxyType

import av
import cv2
import numpy as np
import pytest

from projects.common.world import clips, demo_world, scene
from projects.common.world.clips import (
    CLIP_CLASSES,
    MOTIONS,
    Mover,
    draw_frame,
    encode_mp4,
    sample_clip,
    write_kinetics,
)

TINY = MappingProxyType({'num_train': 9, 'num_val': 8, 'size': (64, 80)})


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    return write_kinetics(tmp_path_factory.mktemp('clips'), num_frames=8, **TINY)


@pytest.fixture(scope='module')
def movers():
    """Per class the movers of many clips; their first 64 need no drawing."""
    found = {label: [] for label in range(len(CLIP_CLASSES))}
    for index in range(8 * 150):
        rng = scene.picture_rng(0, 'train', index)
        label = index % 8
        found[label].append(clips.sample_mover(rng, 96, 128, label))
    return found


def read_mp4(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]


def course(mover, frames=32):
    return np.stack([mover.state(i / frames) for i in range(frames)])


def net_motion(states):
    """Sum of the steps from frame to frame, the jumps back to the start left out."""
    steps = np.diff(states, axis=0)
    return np.where(np.abs(steps) < 0.5, steps, 0).sum(0)


# The class is the motion --------------------------------------------------------------


def test_the_class_says_which_variable_runs_and_which_way(movers):
    assert len(CLIP_CLASSES) == len(MOTIONS) == 8
    for label, name in enumerate(CLIP_CLASSES):
        which, way = MOTIONS[name]
        totals = np.array([net_motion(course(mover)) for mover in movers[label]])
        low, high = clips.RUNS[which]
        # The last frame is 31/32 of the way; a jump may hide one step.
        assert (way * totals[:, which]).min() > low * 29 / 32
        assert (way * totals[:, which]).max() <= high
        others = np.delete(totals, which, axis=1)
        assert np.abs(others).mean() < 0.15


def test_names_mean_what_is_seen():
    background = np.full((96, 128, 3), 0.5, np.float32)
    thing = clips.Thing('box', (0, 0), 1, aspect=0.6, value=0.9, hue=120.0)
    for name, (which, way) in MOTIONS.items():
        runs = np.zeros(4)
        runs[which] = way * 0.2
        mover = Mover(thing, np.full(4, 0.4), runs, np.zeros(4), np.zeros(4))
        seen = []
        for time in (0, 1):
            frame = draw_frame(background, [mover.place(time, 96, 128)])
            mask = (np.ptp(frame, axis=-1) > 60).astype(np.uint8)
            ys, xs = np.nonzero(mask)
            (x, y), sides, angle = cv2.minAreaRect(np.stack([xs, ys], 1))
            seen.append(
                (x, y, mask.sum(), angle if sides[0] > sides[1] else angle - 90)
            )
        change = dict(zip('xyar', np.subtract(*seen[::-1]), strict=True))
        change['r'] = (change['r'] + 90) % 180 - 90  # of a box: modulo half a turn
        key, sign = {
            'moving left': ('x', -1),
            'moving right': ('x', 1),
            'moving up': ('y', -1),
            'moving down': ('y', 1),
            'shrinking': ('a', -1),
            'growing': ('a', 1),
            'turning left': ('r', -1),  # degrees, clockwise in image coordinates
            'turning right': ('r', 1),
        }[name]
        assert sign * change[key] > 8, (name, change)
        assert all(abs(change[other]) < 4 for other in {*'xyar'} - {key}), name


@pytest.mark.parametrize('frame', [0, 7, 16, 31])
def test_state_in_any_single_frame_does_not_depend_on_the_class(movers, frame):
    states = {
        label: np.stack([mover.state(frame / 32) for mover in found])
        for label, found in movers.items()
    }
    everything = np.concatenate(list(states.values()))
    for label, found in states.items():
        for which in range(4):
            # Uniform, so the largest gap to the diagonal of 150 values is below
            # 1.95 / sqrt(150) with probability 0.999 (Kolmogorov and Smirnov).
            values = np.sort(found[:, which])
            gap = np.abs(values - np.linspace(0, 1, len(values))).max()
            assert gap < 1.95 / np.sqrt(150) + 0.01, (label, which)
        # Nor do two of them go together: correlations of 150 independent pairs.
        correlations = np.corrcoef(found.T)[np.triu_indices(4, 1)]
        assert np.abs(correlations).max() < 0.33
    correlations = np.corrcoef(everything.T)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.12


def test_looks_and_number_of_things_do_not_depend_on_the_class():
    first = sample_clip(0, 'train', 3)
    rng = scene.picture_rng(0, 'train', 3).spawn(1)[0]
    clips.draw_background(rng, 96, 128)
    rng.integers(1, 3)
    state = rng.bit_generator.state
    drawn = []
    for label in range(8):  # the same numbers drawn, whatever the class
        rng.bit_generator.state = state
        mover = clips.sample_mover(rng, 96, 128, label)
        drawn.append((mover.thing, mover.start.tolist(), rng.random()))
    assert all(one == drawn[0] for one in drawn)
    assert first.movers[0].thing == drawn[0][0]


def test_nearest_neighbours_cannot_tell_the_class_from_one_frame_but_from_two():
    # A judge with everything that is in a frame: the states of its first mover, the
    # angle as a point on a circle. From two frames it must succeed.
    one, two, labels = [], [], []
    for index in range(1200):
        rng = scene.picture_rng(1, 'train', index)
        mover = clips.sample_mover(rng, 96, 128, index % 8)
        now, later = mover.state(0.5), mover.state(0.5 + 1 / 16)
        step = later - now
        one.append([*now[:3], np.cos(2 * np.pi * now[3]), np.sin(2 * np.pi * now[3])])
        two.append(np.where(np.abs(step) < 0.5, step, 0))
        labels.append(index % 8)
    labels = np.array(labels)

    def accuracy(features):
        features = np.array(features)
        features = (features - features.mean(0)) / features.std(0)
        gaps = ((features[:300, None] - features[None, 300:]) ** 2).sum(-1)
        near = np.argsort(gaps, axis=1)[:, :9]
        votes = [np.bincount(labels[300:][row], minlength=8).argmax() for row in near]
        return np.mean(votes == labels[:300])

    assert accuracy(one) < 1 / 8 + 3.3 * np.sqrt(1 / 8 * 7 / 8 / 300)
    assert accuracy(two) > 0.5


def test_a_class_is_its_partner_played_backwards(movers):
    for label in range(0, 8, 2):
        backwards = [net_motion(course(m)[::-1]) for m in movers[label]]
        forwards = [net_motion(course(m)) for m in movers[label + 1]]
        which = MOTIONS[CLIP_CLASSES[label]][0]
        backwards, forwards = (np.array(a)[:, which] for a in (backwards, forwards))
        assert abs(np.median(backwards) - np.median(forwards)) < 0.05
        assert MOTIONS[CLIP_CLASSES[label]][1] == -MOTIONS[CLIP_CLASSES[label + 1]][1]


# Pictures and files ------------------------------------------------------------------


def test_frame_is_the_scene_rendered_by_parts():
    # Inside the image; where a thing crosses the border, rendering by parts does not
    # shade it as if it ended there.
    checked = 0
    for index in range(24):
        clip = sample_clip(0, 'train', index)
        things = [mover.place(0.4, 96, 128) for mover in clip.movers]
        radius = np.array([[1.5 * thing.radius + 3] for thing in things])
        corners = np.array([thing.center for thing in things])
        if (corners < radius).any() or (corners > (128, 96) - radius).any():
            continue
        ours = draw_frame(clip.background, things)
        whole = scene.render(scene.Scene(clip.background, tuple(things))).image
        assert cv2.absdiff(ours, whole).max() <= 1
        checked += 1
    assert checked >= 3


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
    names = (world / 'class_names.txt').read_text().splitlines()
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
        ({'num_train': 0}, 'counts and fps must be >= 1'),
        ({'fps': 0}, 'counts and fps must be >= 1'),
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
    assert replace(sample_clip(0, 'val', 5), num_frames=3).num_frames == 3
