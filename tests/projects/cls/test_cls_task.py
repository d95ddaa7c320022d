"""What the task makes of a config: own classes, short runs, the same model."""

from pathlib import Path

import pytest
from mmengine.config import Config

from projects.cls.task import TASK
from projects.common.errors import UserError
from projects.common.task import find_task
from projects.common.world.imagenet import write_imagenet

LEAVES = Path(__file__).resolve().parents[3] / 'configs/cls'


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return write_imagenet(tmp_path_factory.mktemp('images'), 40, 8, size=64)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'cache/demo'))


@pytest.fixture
def cfg():
    return Config.fromfile(LEAVES / 'uniformer_s.py')


def test_the_task_is_found_by_the_scope(cfg):
    assert find_task(cfg) is TASK


def test_classes_come_from_the_folders(cfg, images):
    TASK.use_folder(cfg, images)
    classes = sorted(path.name for path in (images / 'train').iterdir())
    for split, folder in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        dataset = cfg[f'{split}_dataloader'].dataset
        assert list(dataset.metainfo.classes) == classes
        assert dataset.data_root == str(images)
        lines = Path(dataset.ann_file).read_text().splitlines()
        assert all(line.startswith(f'{folder}/') for line in lines)
    assert cfg.model.head.num_classes == 8
    assert cfg.model.data_preprocessor.num_classes == 8
    assert cfg.val_evaluator.topk == (1, 5)
    TASK.check_data(cfg, ('train', 'val', 'test'))


def test_of_few_classes_only_the_first_guess_counts(cfg, tmp_path):
    write_imagenet(tmp_path / 'all', 16, 8, size=64)
    for split in ('train', 'val'):
        for name in ('plain_star', 'striped_box'):
            target = tmp_path / 'two' / split / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(tmp_path / 'all' / split / name)
    TASK.use_folder(cfg, tmp_path / 'two')
    assert cfg.val_evaluator.topk == cfg.test_evaluator.topk == (1,)


def test_a_short_run_is_of_the_same_model(cfg, images):
    before = cfg.model.to_dict()
    TASK.use_folder(cfg, images)
    TASK.shrink(cfg, 96, 15)
    steps = {s.type: s for s in cfg.train_dataloader.dataset.dataset.pipeline}
    assert steps['RandomResizedCrop'].scale == 96
    assert 'TimmImageAugment' not in steps
    steps = {s.type: s for s in cfg.val_dataloader.dataset.pipeline}
    assert (steps['ResizeEdge'].scale, steps['CenterCrop'].crop_size) == (109, 96)
    after = cfg.model
    assert after.backbone.arch == before['backbone']['arch']
    assert set(after.backbone) == {*before['backbone'], 'with_cp'}
    assert (after.head.type, after.neck) == (before['head']['type'], before['neck'])
    assert after.data_preprocessor.mixing is after.data_preprocessor.erasing is None
    assert cfg.custom_hooks == []
    assert cfg.train_dataloader.sampler.type == 'DefaultSampler'
    loader = cfg.train_dataloader
    per_epoch = loader.dataset.times * 40 // loader.batch_size
    assert abs(cfg.train_cfg.max_epochs * per_epoch - 15) <= per_epoch


def test_a_list_that_is_not_there(cfg, images):
    TASK.use_folder(cfg, images)
    cfg.val_dataloader.dataset.ann_file = str(images / 'none.txt')
    with pytest.raises(UserError, match=r'none\.txt: no such list'):
        TASK.check_data(cfg, ('val',))
