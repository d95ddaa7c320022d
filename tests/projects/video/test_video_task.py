"""Video recognition as the tools see it."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from projects.common.errors import UserError
from projects.common.task import datasets
from projects.video.task import TASK, mirrored_pair
from tests.projects.video.clips import write_clip

ROOT = Path(__file__).resolve().parents[3]
KINETICS = ROOT / 'configs/video/uniformer_s_16x4_k400.py'
SOMETHING = ROOT / 'configs/video/uniformer_b_u32_ssv2_k400pre.py'


def read(path):
    init_default_scope('mmaction')
    return Config.fromfile(path)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Two classes of four videos, one of each broken."""
    root = tmp_path_factory.mktemp('own')
    for name in ('open door', 'shut door'):
        (root / name).mkdir()
        for number in range(4):
            write_clip(root / name / f'{number}.mp4', frames=20)
        (root / name / 'broken.mp4').write_text('no video')
    return root


@pytest.mark.parametrize('leaf', [KINETICS, SOMETHING], ids=['videos', 'frames'])
def test_a_folder_of_videos_serves_any_leaf(leaf, folder):
    cfg = read(leaf)
    TASK.use_folder(cfg, folder)
    TASK.check_data(cfg, ('train', 'val', 'test'))
    assert cfg.model.cls_head.num_classes == 2
    assert cfg.model.data_preprocessor.mixing.num_classes == 2
    names = set()
    for split in ('train', 'val', 'test'):
        [settings] = datasets(cfg, split)
        dataset = DATASETS.build(settings)
        assert dataset.metainfo['classes'] == ('open door', 'shut door')
        for i in range(len(dataset)):
            info = dataset.get_data_info(i)
            names.add(info['filename'])
            assert (
                Path(info['filename']).parts[-2]
                == dataset.metainfo['classes'][info['label']]
            )
    assert len(names) == 10
    frames = cfg.test_dataloader.dataset.sample.clip_len
    held_out = DATASETS.build(datasets(cfg, 'test')[0])
    views = 3 if leaf == SOMETHING else 4
    assert held_out[0]['inputs'].shape == (views, 3, frames, 224, 224)


def test_a_short_run_keeps_the_model_and_the_stretch_of_time(folder):
    cfg = read(KINETICS)
    arch = dict(cfg.model.backbone)
    TASK.use_folder(cfg, folder)
    TASK.shrink(cfg, 48, 5)
    changed = {key for key in arch if arch[key] != cfg.model.backbone.get(key)}
    assert changed == {'drop_path_rate'}
    sample = cfg.train_dataloader.dataset.dataset.sample
    assert (sample.clip_len, sample.stride) == (8, 8)
    assert cfg.model.data_preprocessor.mixing is None
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert train[0]['inputs'].shape == (1, 3, 8, 48, 48)
    held_out = DATASETS.build(cfg.val_dataloader.dataset)
    assert held_out[0]['inputs'].shape == (1, 3, 8, 48, 48)
    assert 4 <= cfg.train_cfg.max_epochs * len(train) // 8 <= 6


@pytest.mark.parametrize(
    ('classes', 'pair'),
    [
        (('growing', 'moving left', 'moving right'), ('moving left', 'moving right')),
        (('Push_left', 'pushRIGHT', 'push right'), ('Push_left', 'push right')),
        (('turn-left', 'turn-right'), ('turn-left', 'turn-right')),
        (('TurnLeft', 'Stop', 'TurnRight'), ('TurnLeft', 'TurnRight')),
        (('right-swipe', 'left-swipe'), ('right-swipe', 'left-swipe')),
        (('from left to right', 'fromRightToLeft'),) * 2,
        (('Tür_left', 'Tor_right', 'TÜR right'), ('Tür_left', 'TÜR right')),
        (('Tür left', 'Tor right'), None),
        (('left', 'center'), None),
        (('open', 'shut'), None),
    ],
)
def test_classes_that_a_mirror_swaps(classes, pair):
    assert mirrored_pair(classes) == pair


def test_such_classes_are_not_mirrored_while_training(tmp_path):
    for name in ('turn left', 'turn right'):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f'{number}.mp4').touch()
    cfg = read(KINETICS)
    TASK.use_folder(cfg, tmp_path)
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert 'TimmResizedCrop' in steps
    assert 'Flip' not in steps


def test_strict_reaches_every_split(folder):
    cfg = read(KINETICS)
    TASK.use_folder(cfg, folder)
    TASK.be_strict(cfg)
    for split in ('train', 'val', 'test'):
        assert DATASETS.build(datasets(cfg, split)[0]).strict


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'train.csv: no such list of videos'),
        ('', 'train.csv: lists no videos'),
        ('a, b.mp4,0\nc.mp4,1\n', 'a, b.mp4: named in'),
    ],
    ids=['no list', 'empty', 'no videos'],
)
def test_missing_data_is_one_clear_message(tmp_path, text, message):
    cfg = read(KINETICS)
    for split in ('train', 'val', 'test'):
        [dataset] = datasets(cfg, split)
        dataset.update(
            ann_file=str(tmp_path / 'train.csv'), data_prefix={'video': str(tmp_path)}
        )
    if text is not None:
        (tmp_path / 'train.csv').write_text(text)
    with pytest.raises(UserError) as error:
        TASK.check_data(cfg, ('train',))
    assert message in str(error.value)


def test_names_of_frame_folders_are_found_in_their_lists(tmp_path):
    cfg = read(SOMETHING)
    (tmp_path / 'a clip').mkdir()
    (tmp_path / 'list.txt').write_text('a clip 12 3\n', encoding='utf-8-sig')
    [dataset] = datasets(cfg, 'train')
    dataset.update(
        ann_file=str(tmp_path / 'list.txt'), data_prefix={'img': str(tmp_path)}
    )
    TASK.check_data(cfg, ('train',))
