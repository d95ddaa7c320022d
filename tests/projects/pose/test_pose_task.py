"""Pose configs pointed at folders, made short, checked and drawn."""

import json

import cv2
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, init_default_scope

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.errors import UserError
from projects.common.task import datasets, find_task
from projects.common.world.people import write_people
from projects.pose.task import TASK

TINY = {'depths': (1, 1, 1, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}
TRAIN = 'annotations/person_keypoints_train2017.json'
VAL = 'annotations/person_keypoints_val2017.json'


@pytest.fixture
def world(tmp_path):
    return write_people(tmp_path / 'people', num_train=3, num_val=2, size=96)


def config(name='td_hm_uniformer_s_256x192'):
    init_default_scope('mmpose')
    cfg = Config.fromfile(f'configs/pose/{name}.py')
    cfg.model.backbone.update(init_cfg=None, arch=TINY)
    cfg.model.head.update(in_channels=32, deconv_out_channels=(8, 8, 8))
    return cfg


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def keep_five(content):
    """Another skeleton: the nose and the wrists and ankles of the figures."""
    kept = [0, 9, 10, 15, 16]
    content['categories'][0].update(
        keypoints=['head', 'hand_l', 'hand_r', 'foot_l', 'foot_r'],
        skeleton=[[1, 2], [1, 3], [1, 4], [1, 5]],
    )
    for thing in content['annotations']:
        values = thing['keypoints']
        thing['keypoints'] = [v for i in kept for v in values[3 * i : 3 * i + 3]]


@pytest.fixture(autouse=True)
def _root(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def test_scope_finds_the_task():
    assert find_task(config()) is TASK


def test_a_folder_brings_its_skeleton_to_data_head_and_readers(world, caplog):
    for name in (TRAIN, VAL):
        edit(world / name, keep_five)
    cfg = config()
    TASK.use_folder(cfg, world)
    assert cfg.model.head.out_channels == 5
    for split in ('train', 'val', 'test'):
        [settings] = datasets(cfg, split)
        assert 'bbox_file' not in settings
        dataset = DATASETS.build({**settings, 'pipeline': []})
        assert dataset.metainfo['flip_indices'] == [0, 2, 1, 4, 3]
        assert dataset.metainfo['num_keypoints'] == 5
        assert dataset.metainfo['CLASSES'] == ('person',)
    for name in ('val_evaluator', 'test_evaluator'):
        assert cfg[name].ann_file == str(world / VAL)
    TASK.check_data(cfg, ('train', 'val', 'test'))
    reread = Config.fromstring(cfg.pretty_text, '.py')  # as a run writes it
    dataset = DATASETS.build({**datasets(reread, 'val')[0], 'pipeline': []})
    assert dataset.metainfo['flip_pairs'] == [(2, 1), (1, 2), (4, 3), (3, 4)]


@pytest.mark.parametrize(
    ('change', 'used'),
    [
        ({}, True),
        ({'area': 0, 'iscrowd': 1}, True),  # not measured
        ({'area': 0}, False),
        ({'area': None}, False),
        ({'area': None, 'iscrowd': 1}, False),  # compared all the same
    ],
)
def test_areas_of_all_people_or_of_none_are_used(world, change, used):
    edit(world / VAL, lambda c: c['annotations'][0].update(change))
    cfg = config()
    TASK.use_folder(cfg, world)
    for name in ('val_evaluator', 'test_evaluator'):
        assert cfg[name].get('use_area', True) is used
    TASK.check_data(cfg, ('val',))


def test_a_file_without_areas_uses_none(world):
    edit(world / VAL, lambda c: [thing.pop('area') for thing in c['annotations']])
    cfg = config()
    TASK.use_folder(cfg, world)
    assert cfg.val_evaluator.use_area is False


def test_a_folder_with_one_file_is_trained_and_tested_on_itself(world):
    (world / VAL).unlink()
    (world / TRAIN).rename(world / 'some_people.json')
    cfg = config()
    TASK.use_folder(cfg, world)
    files = {datasets(cfg, split)[0].ann_file for split in ('train', 'val', 'test')}
    assert files == {str(world / 'some_people.json')}


def test_keypoints_are_preferred_to_instances(world):
    (world / 'annotations/train.json').write_text('{}')
    (world / 'annotations/val.json').write_text('{}')
    cfg = config()
    TASK.use_folder(cfg, world)
    assert datasets(cfg, 'train')[0].ann_file == str(world / TRAIN)


def test_a_folder_of_another_layout_is_told_the_layout(tmp_path):
    with pytest.raises(UserError, match=r'person_keypoints_train2017\.json'):
        TASK.use_folder(config(), tmp_path)


@pytest.mark.parametrize(
    ('name', 'side', 'size', 'sigma'),
    [
        ('td_hm_uniformer_s_256x192', 96, (96, 128), 1.5),
        ('td_hm_uniformer_b_384x288', 192, (192, 256), 2),
        ('td_hm_uniformer_b_448x320', 160, (160, 224), 1.5),
    ],
)
def test_a_short_run_scales_crop_heatmap_and_sigma_alike(
    world, name, side, size, sigma
):
    cfg = config(name)
    TASK.use_folder(cfg, world)
    before = {**cfg.model.head}
    TASK.shrink(cfg, side, 30)
    codec = cfg.model.head.decoder
    assert codec.input_size == size
    assert codec.heatmap_size == (size[0] // 4, size[1] // 4)
    assert codec.sigma == pytest.approx(sigma)
    assert {**cfg.model.head, 'decoder': 0} == {**before, 'decoder': 0}
    for split in ('train', 'val', 'test'):
        steps = {step.type: step for step in datasets(cfg, split)[0].pipeline}
        assert steps['TopdownAffine'].input_size == size
        if split == 'train':
            assert steps['GenerateTarget'].encoder == codec
    assert cfg.train_cfg.val_interval == cfg.train_cfg.max_epochs
    assert 'save_best' not in cfg.default_hooks.checkpoint


def test_without_coco_it_says_where_it_looked_and_how_to_lay_it_out():
    with pytest.raises(UserError, match='no such annotation file') as caught:
        TASK.check_data(config(), ('train',))
    for word in ('data/coco/annotations/person_keypoints', '--demo', '--data'):
        assert word in str(caught.value)


def test_a_config_that_does_not_fit_the_data_is_refused(world):
    cfg = config()
    for split in ('train', 'val'):
        [dataset] = datasets(cfg, split)
        dataset.update(data_root=str(world))
    TASK.check_data(cfg, ('train',))
    with pytest.raises(UserError, match=r'AP_H_56_person.json: no such file'):
        TASK.check_data(cfg, ('val',))
    cfg.model.head.out_channels = 9
    with pytest.raises(UserError, match=r'head.out_channels is 9.* has 17 keypoints'):
        TASK.check_data(cfg, ('train',))
    edit(world / TRAIN, keep_five)
    with pytest.raises(UserError, match=r'has 5 keypoints .* trains 17'):
        TASK.check_data(cfg, ('train',))


def test_pictures_show_all_people_of_an_image_and_the_truth(world, tmp_path):
    cfg = config()
    TASK.use_folder(cfg, world)
    TASK.shrink(cfg, 32, 3)
    dataset = DATASETS.build(datasets(cfg, 'val')[0])
    files = TASK.draw(MODELS.build(cfg.model), dataset, tmp_path / 'out')
    assert [file.name for file in files] == ['000001000001.png', '000001000002.png']
    for file in files:
        height, width = cv2.imread(str(file)).shape[:2]
        assert width > 2.5 * height  # image, prediction, truth
