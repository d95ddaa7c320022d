"""Clips from the field through the pipelines of every leaf, by every decoder."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from projects.common.task import datasets
from projects.video.frames import extract_frames
from projects.video.reader import open_video, working_backends
from projects.video.sampling import (
    dense_indices,
    dense_starts,
    segment_bounds,
)

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT.parent / 'shared/data/real/video'
CLIPS = ('arm_wrestling.mp4', 'test.avi', 'part_0.mp4')
LABEL = 7
# One leaf of every pipeline: data set, kind of sampling, number of views.
LEAVES = (
    's_16x4_k400',
    's_8x8_k400',
    's_32x4_k400',
    's_16x8_k600',
    'b_u16_ssv1_k400pre',
    's_u32_ssv2_k600pre',
    's_16x4_ucf101_k400pre',
    's_16x4_hmdb51_k400pre',
)
pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(not FOLDER.is_dir(), reason='no clips here'),
]


@pytest.fixture(scope='module')
def frames(tmp_path_factory):
    """The clips as folders of pictures."""
    root = tmp_path_factory.mktemp('frames')
    for name in CLIPS:
        extract_frames(FOLDER / name, root / name, 'img_{:05}.jpg', 0)
    return root


def expected_indices(sample, count):
    clips, length = sample.get('num_clips', 1), sample.clip_len
    if sample.type == 'DenseSample':
        starts = dense_starts(count, length, sample.stride, clips)
        return np.concatenate(
            [dense_indices(count, length, sample.stride, start) for start in starts]
        )
    half = int((count - 1) / length / 2)
    return segment_bounds(count, length)[:-1] + half


@pytest.mark.parametrize('leaf', LEAVES)
@pytest.mark.parametrize('backend', working_backends())
@pytest.mark.parametrize('name', CLIPS)
def test_a_clip_passes_the_pipelines_of_a_leaf(leaf, backend, name, tmp_path, frames):
    init_default_scope('mmaction')
    cfg = Config.fromfile(ROOT / f'configs/video/uniformer_{leaf}.py')
    with open_video(FOLDER / name, backend) as video:
        count = len(video)
    for split in ('train', 'val', 'test'):
        [dataset] = datasets(cfg, split)
        pack = dataset.pipeline[-1]
        pack.meta_keys = ('frame_inds', 'total_frames')
        is_frames = dataset.type == 'FrameListDataset'
        line = f'{name} {count} {LABEL}' if is_frames else f'{name},{LABEL}'
        (tmp_path / 'list').write_text(line + '\n')
        dataset.ann_file = str(tmp_path / 'list')
        if is_frames:
            dataset.update(data_prefix={'img': str(frames)}, start_index=1)
            dataset.filename_tmpl = 'img_{:05}.jpg'
        else:
            dataset.update(data_prefix={'video': str(FOLDER)}, delimiter=',')
            dataset.backend = backend
        item = DATASETS.build(dataset)[0]
        crops = 3 if dataset.pipeline[1].type == 'ThreeCrop' else 1
        sample = dataset.sample
        views = crops * sample.get('num_clips', 1)
        shape = (views, 3, sample.clip_len, 224, 224)
        items = item if isinstance(item, list) else [item]
        assert len(items) == (2 if split == 'train' else 1)
        for one in items:
            assert tuple(one['inputs'].shape) == shape
            assert int(one['data_samples'].gt_label) == LABEL
            found = one['data_samples'].frame_inds - (1 if is_frames else 0)
            assert one['data_samples'].total_frames == count
            assert found.min() >= 0
            assert found.max() < count
            assert (np.diff(found.reshape(-1, sample.clip_len)) >= 0).all()
            if split != 'train':
                assert found.tolist() == expected_indices(sample, count).tolist()
