"""Lists of videos and frame folders: lines, labels, repeated augmentation."""

from pathlib import Path

import numpy as np
import pytest
from mmaction.registry import DATASETS, TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS, DefaultScope
from torch.utils.data import DataLoader

import projects.video  # noqa: F401 - registers
from projects.common.errors import UserError
from projects.video.frames import extract_frames
from projects.video.reader import working_backends
from tests.projects.video.clips import number_of, write_clip

LENGTHS = {'up.mp4': 40, 'down, left.mp4': 30, 'a b.mp4': 5}
DENSE = dict(type='DenseSample', clip_len=4, stride=2)
PACK = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('frame_inds', 'mark')),
]


@TRANSFORMS.register_module()
class Spoil(BaseTransform):
    """Writes a random number into the frames, in place, as mmaction2's flip does."""

    def transform(self, results):
        mark = np.random.randint(1, 10**6)  # noqa: NPY002
        for image in results['imgs']:
            image[-1, -1] = mark % 251
        results['mark'] = mark
        return results


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('videos')
    for name, frames in LENGTHS.items():
        write_clip(folder / name, frames)
        stem = name.removesuffix('.mp4').replace(' ', '').replace(',', '')
        extract_frames(folder / name, folder / 'frames' / stem, 'img_{:05}.jpg', 0)
    (folder / 'list.csv').write_text('up.mp4,0\ndown, left.mp4,1\n\na b.mp4,2\n')
    (folder / 'list.txt').write_text('up.mp4 0\ndown, left.mp4 1\na b.mp4 2\n')
    (folder / 'frames.txt').write_text('up 40 0\ndownleft 30 1\nab 5 2\n')
    return folder


def videos(root, **settings):
    return DATASETS.build(
        dict(
            type='VideoListDataset',
            ann_file=str(root / 'list.csv'),
            data_prefix=dict(video=str(root)),
            pipeline=[dict(type='SampleVideo', sample=DENSE), *PACK],
        )
        | settings
    )


def frames(root, **settings):
    return DATASETS.build(
        dict(
            type='FrameListDataset',
            ann_file=str(root / 'frames.txt'),
            data_prefix=dict(img=str(root / 'frames')),
            pipeline=[DENSE, dict(type='ReadFrameFolder'), *PACK],
        )
        | settings
    )


def carried(inputs):
    """Numbers that the frames of a packed clip (1, 3, T, H, W) carry."""
    return [number_of(frame) for frame in inputs[0].permute(1, 2, 3, 0).numpy()]


@pytest.mark.parametrize('delimiter', [',', ' '])
def test_lines_give_files_and_labels(root, delimiter):
    name = {',': 'list.csv', ' ': 'list.txt'}[delimiter]
    data = videos(root, ann_file=str(root / name), delimiter=delimiter)
    found = [data.get_data_info(i) for i in range(len(data))]
    assert [item['label'] for item in found] == [0, 1, 2]
    assert [item['filename'] for item in found] == [str(root / n) for n in LENGTHS]


@pytest.mark.parametrize('build', [videos, frames])
def test_item_holds_the_frames_that_were_sampled(root, build):
    data = build(root)
    for index, count in enumerate(LENGTHS.values()):
        item = data[index]
        assert item['inputs'].shape == (1, 3, 4, 80, 176)
        assert int(item['data_samples'].gt_label) == index
        first = 1 if build is frames else 0
        wanted = (item['data_samples'].frame_inds - first).tolist()
        assert max(wanted) < count
        assert carried(item['inputs']) == wanted


@pytest.mark.parametrize('build', [videos, frames])
def test_repeats_share_the_decoded_clip_and_nothing_else(root, build):
    data = build(root, num_repeats=2)
    data.pipeline.transforms.insert(-2, Spoil())
    for index in range(3):
        one, two = data[index]
        inds = [part['data_samples'].frame_inds.tolist() for part in (one, two)]
        assert inds[0] == inds[1]
        assert carried(one['inputs']) == carried(two['inputs'])
        marks = [part['data_samples'].mark for part in (one, two)]
        assert marks[0] != marks[1]
        for part in (one, two):  # each kept its own in-place change
            corner = part['inputs'][0, :, :, -1, -1]
            assert (corner == part['data_samples'].mark % 251).all()


@pytest.mark.parametrize('build', [videos, frames])
def test_repeats_are_neighbours_in_a_doubled_batch(root, build):
    collate = FUNCTIONS.get('repeat_pseudo_collate')
    data = build(root, num_repeats=2)
    batch = next(
        iter(DataLoader(data, batch_size=3, num_workers=2, collate_fn=collate))
    )
    labels = [int(sample.gt_label) for sample in batch['data_samples']]
    assert labels == [0, 0, 1, 1, 2, 2]
    assert len(batch['inputs']) == 6
    plain = next(iter(DataLoader(build(root), 3, collate_fn=pseudo_collate)))
    assert len(plain['inputs']) == 3


def test_repeats_are_refused_in_test_mode(root):
    with pytest.raises(ValueError, match='num_repeats=2: at least 1, and 1 in test'):
        videos(root, num_repeats=2, test_mode=True)


def test_test_views_of_one_video(root):
    sample = DENSE | dict(num_clips=3, test_mode=True)
    data = videos(root, pipeline=[dict(type='SampleVideo', sample=sample), *PACK])
    # 40 frames, 4x2: delta 32, clips at 0, 16 and 32; spacing 7 / 3.
    item = data[0]
    assert item['inputs'].shape == (3, 3, 4, 80, 176)
    wanted = [0, 2, 4, 7, 16, 18, 20, 23, 32, 34, 36, 39]
    assert item['data_samples'].frame_inds.tolist() == wanted


def test_class_names_and_label_order(root):
    data = videos(root, classes='k400')
    assert data.metainfo['classes'][:2] == ('riding a bike', 'marching')
    data = videos(root, classes='k400', labels_in='k400_alphabetical')
    labels = [data.get_data_info(i)['label'] for i in range(3)]
    names = [data.metainfo['classes'][label] for label in labels]
    assert names == ['abseiling', 'air drumming', 'answering questions']
    data = videos(root, classes=['x', 'y', 'z'])
    assert data.metainfo['classes'] == ('x', 'y', 'z')


def test_label_order_needs_a_named_list(root):
    with pytest.raises(ValueError, match='labels_in'):
        videos(root, classes=['x', 'y', 'z'], labels_in='k400')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('up.mp4\n', r"list.csv:1: expected a line like 'name,1', not 'up.mp4'"),
        ('up.mp4,0\nup.mp4,one\n', r'list.csv:2: expected'),
        ('up.mp4,3\n', r'list.csv:1: label 3, but there are 3 classes'),
        ('up.mp4,-1\n', r'list.csv:1: label -1'),
        (None, r'no such list of videos'),
    ],
)
def test_bad_list_names_the_line(root, tmp_path, text, message):
    path = tmp_path / 'list.csv'
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        videos(root, ann_file=str(path), classes=['x', 'y', 'z'])


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('up 0', r"list.txt:2: .* 'name 1 2', not 'up 0'"),
        ('up 0 1', r'list.txt:2: 0 frames; a clip has at least 1'),
        ('up -3 1', r'list.txt:2: -3 frames'),
    ],
)
def test_bad_frame_list_names_the_line(root, tmp_path, line, message):
    path = tmp_path / 'list.txt'
    path.write_text(f'up 40 0\n{line}\n')
    with pytest.raises(UserError, match=message):
        frames(root, ann_file=str(path))


def test_a_byte_order_mark_is_no_part_of_the_first_name(root, tmp_path):
    path = tmp_path / 'list.csv'
    path.write_text('up.mp4,0\n', encoding='utf-8-sig')
    data = videos(root, ann_file=str(path))
    assert data.get_data_info(0)['filename'] == str(root / 'up.mp4')


def test_backend_is_a_setting(root):
    load = dict(type='SampleVideo', sample=DENSE, backend='opencv')
    assert carried(videos(root, pipeline=[load, *PACK])[2]['inputs'])[0] == 0
    with pytest.raises(UserError, match='choose one of'):
        videos(root, pipeline=[dict(load, backend='vhs'), *PACK])


REAL = Path(__file__).resolve().parents[4] / 'shared/data/real/video'
VIEWS = {
    'dense_train': (dict(type='DenseSample', clip_len=16, stride=4), 1),
    'dense_test': (
        dict(type='DenseSample', clip_len=16, stride=4, num_clips=4, test_mode=True),
        4,
    ),
    'segment_train': (dict(type='SegmentSample', clip_len=16), 1),
    'segment_test': (dict(type='SegmentSample', clip_len=16, test_mode=True), 1),
}


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason='needs the real files')
@pytest.mark.parametrize('backend', working_backends())
@pytest.mark.parametrize('view', VIEWS)
def test_real_files_go_through_every_sampler(tmp_path, view, backend):
    files = {'arm_wrestling.mp4': 280, 'test.avi': 164, 'part_0.mp4': 32}
    path = tmp_path / 'list.csv'
    path.write_text(''.join(f'{name},6\n' for name in files))
    sample, clips = VIEWS[view]
    data = videos(
        tmp_path,
        data_prefix=dict(video=str(REAL)),
        classes='k400',
        labels_in='k400_alphabetical',
        pipeline=[dict(type='SampleVideo', sample=sample, backend=backend), *PACK],
    )
    np.random.seed(0)  # noqa: NPY002
    for item, (name, count) in zip(data, files.items(), strict=True):
        size = (240, 320) if name == 'test.avi' else (256, 340)
        assert item['inputs'].shape == (clips, 3, 16, *size)
        inds = item['data_samples'].frame_inds.reshape(clips, 16)
        assert (np.diff(inds) >= 0).all()
        assert inds.min() >= 0
        assert inds.max() < count
        if name == 'part_0.mp4' and 'dense' in view:  # a clip is 64 frames long
            assert (inds[:, 8:] == 31).all()
        label = int(item['data_samples'].gt_label)
        assert data.metainfo['classes'][label] == 'arm wrestling'
