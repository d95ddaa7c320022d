"""Segmentation configs pointed at folders, made short, checked and drawn."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, init_default_scope

from projects.common.errors import UserError
from projects.common.task import datasets, transforms
from projects.common.world.ade20k import write_ade20k
from projects.common.world.landscape import LANDSCAPE_CLASSES
from projects.seg.pictures import draw_class_ious
from projects.seg.task import TASK

TINY = {'depths': (1, 1, 2, 1), 'embed_dims': (64, 128, 320, 512), 'head_dim': 64}


@pytest.fixture
def world(tmp_path):
    return write_ade20k(tmp_path / 'ade', num_train=3, num_val=2, size=(64, 80))


def config(name='fpn_uniformer_s'):
    init_default_scope('mmseg')
    cfg = Config.fromfile(f'configs/seg/{name}.py')
    cfg.model.backbone.update(init_cfg=None, arch=TINY)
    return cfg


@pytest.fixture(autouse=True)
def _root(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def test_a_folder_brings_its_classes_to_data_heads_and_readers(world):
    cfg = config('upernet_uniformer_s')
    TASK.use_folder(cfg, world)
    assert cfg.model.decode_head.num_classes == 8
    assert cfg.model.auxiliary_head.num_classes == 8
    for split, count in (('train', 3), ('val', 2), ('test', 2)):
        [settings] = datasets(cfg, split)
        dataset = DATASETS.build({**settings, 'pipeline': []})
        assert len(dataset) == count
        assert tuple(dataset.metainfo['classes']) == LANDSCAPE_CLASSES
        assert dataset.reduce_zero_label
        loader = next(step for step in settings.pipeline if 'Mask' in step.type)
        assert loader == {'type': 'LoadLabelMask', 'labels': 9}
    assert cfg.custom_imports == {'imports': ['projects.seg']}
    TASK.check_data(cfg, ('train', 'val', 'test'))


def test_masks_of_colours_become_labels_in_every_pipeline(world):
    colors = np.random.default_rng(0).integers(1, 255, (8, 3))
    lines = ['- 0 0 0']
    lines += [
        f'{n} {r} {g} {b}' for n, (r, g, b) in zip('abcdefgh', colors, strict=True)
    ]
    table = np.concatenate([[[0, 0, 0]], colors]).astype(np.uint8)
    expected = []
    for path in sorted(world.glob('annotations/*/*.png')):
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        expected.append(labels.astype(int) - 1)
        cv2.imwrite(str(path), table[labels][..., ::-1])
    cfg = config('upernet_uniformer_s')
    (world / 'classes.txt').write_text('\n'.join(lines))
    TASK.use_folder(cfg, world)
    TASK.check_data(cfg, ('train', 'val'))
    assert 'LoadColorMask' in [step.type for step in transforms(cfg.tta_pipeline)]
    loaded = DATASETS.build(datasets(cfg, 'val')[0])[0]['data_samples']
    assert (loaded.gt_sem_seg.data[0].numpy() == expected[3]).all()


def loaders(cfg):
    pipelines = [datasets(cfg, split)[0].pipeline for split in ('train', 'val', 'test')]
    return [
        step
        for step in transforms([pipelines, cfg.tta_pipeline])
        if 'Annotations' in step.type or 'Mask' in step.type
    ]


def test_the_config_of_a_run_takes_other_colours_or_none(world):
    cfg = config('upernet_uniformer_s')
    (world / 'classes.txt').write_text('a 1 1 1\nb 2 2 2\n')
    TASK.use_folder(cfg, world)
    cfg = Config.fromstring(cfg.pretty_text, '.py')  # as a run writes it
    (world / 'classes.txt').write_text('a 1 1 1\nb 3 3 3\n- 9 9 9\n')
    TASK.use_folder(cfg, world)
    assert len(loaders(cfg)) == 4
    for step in loaders(cfg):
        assert step.type == 'LoadColorMask'
        assert [tuple(color) for color in step.colors] == [(1, 1, 1), (3, 3, 3)]
        assert [tuple(color) for color in step.ignored] == [(9, 9, 9)]
    (world / 'classes.txt').write_text('a\nb\n')
    TASK.use_folder(cfg, world)
    for step in loaders(cfg):
        assert step == {'type': 'LoadLabelMask', 'labels': 2}
    DATASETS.build(datasets(cfg, 'train')[0])


@pytest.mark.parametrize('given', [['mine', 'projects.seg'], 'mine'])
def test_what_a_config_imports_is_kept(world, given):
    cfg = config()
    cfg.custom_imports = {'imports': given, 'allow_failed_imports': True}
    TASK.use_folder(cfg, world)
    imports = ['mine', 'projects.seg']
    assert cfg.custom_imports == {'imports': imports, 'allow_failed_imports': True}


def test_a_short_run_changes_sizes_and_schedule_but_not_the_model(world):
    cfg = config('upernet_uniformer_b')
    cfg.model.test_cfg = {
        'mode': 'slide',
        'crop_size': (512, 512),
        'stride': (341, 341),
    }
    before = {key: dict(value) for key, value in cfg.model.items() if 'head' in key}
    TASK.shrink(cfg, 128, 30)
    for key, value in before.items():
        assert dict(cfg.model[key]) == value
    assert cfg.model.backbone.arch == TINY
    assert cfg.model.test_cfg.crop_size == (128, 128)
    assert cfg.model.test_cfg.stride == (85, 85)
    assert cfg.model.data_preprocessor.size == (128, 128)
    steps = {s.type: s for s in transforms(datasets(cfg, 'train')[0].pipeline)}
    assert steps['RandomResize'].scale == (512, 128)
    assert steps['RandomCrop'].crop_size == (128, 128)
    assert transforms(cfg.tta_pipeline)[2].scale == (256, 64)
    assert cfg.train_cfg == {
        'type': 'IterBasedTrainLoop',
        'max_iters': 30,
        'val_interval': 30,
    }
    assert cfg.default_hooks.checkpoint.interval == 10
    assert not any(scheduler.by_epoch for scheduler in cfg.param_scheduler)


def test_without_ade20k_it_says_where_it_looked_and_how_to_lay_it_out():
    with pytest.raises(UserError, match=r'no such folder\. Lay the data out') as caught:
        TASK.check_data(config(), ('train',))
    for word in ('data/ade/ADEChallengeData2016/images/training', '--demo', '--data'):
        assert word in str(caught.value)


def test_heads_of_other_classes_than_the_data_are_refused(world):
    cfg = config('upernet_uniformer_s')
    TASK.use_folder(cfg, world)
    cfg.model.auxiliary_head.num_classes = 9
    with pytest.raises(UserError, match=r'auxiliary_head.num_classes is 9.* 8 classes'):
        TASK.check_data(cfg, ('val',))


def test_a_wrong_mask_is_found_wherever_the_config_reads_it(world):
    cfg = config()
    TASK.use_folder(cfg, world)
    path = sorted(world.glob('annotations/validation/*.png'))[1]
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    labels[0, 0] = 9  # 0 is nothing, 1 to 8 are the classes
    cv2.imwrite(str(path), labels)
    TASK.check_data(cfg, ('train',))
    with pytest.raises(UserError, match=f'{path}: holds label 9.*0 to 8.*val'):
        TASK.check_data(cfg, ('train', 'val'))


def test_binary_masks_of_0_and_255_are_refused(world):
    for path in world.glob('annotations/*/*.png'):
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.where(labels > 4, 255, 0).astype(np.uint8))
    (world / 'classes.txt').write_text('background\nperson\n')
    cfg = config()
    TASK.use_folder(cfg, world)
    message = r"annotations/training: .*'person' in no mask.* 0/255 masks.*label 1"
    with pytest.raises(UserError, match=message):
        TASK.check_data(cfg, ('train',))


def test_pictures_show_predictions_truth_and_the_iou_of_each_class(world, tmp_path):
    cfg = config()
    TASK.use_folder(cfg, world)
    TASK.shrink(cfg, 64, 3)
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    files = TASK.draw(model, DATASETS.build(datasets(cfg, 'val')[0]), tmp_path / 'out')
    assert [file.name for file in files] == [
        'ADE_val_00000001.png',
        'ADE_val_00000002.png',
        'class_iou.png',
    ]
    assert all(cv2.imread(str(file)).size for file in files)


def test_bars_leave_out_classes_that_do_not_occur(tmp_path):
    one = draw_class_ious(np.array([0.5, np.nan]), ['a', 'b'], 't', tmp_path / '1.png')
    two = draw_class_ious(np.array([0.5, 0.0]), ['a', 'b'], 't', tmp_path / '2.png')
    heights = [cv2.imread(str(file)).shape[0] for file in (one, two)]
    assert heights[0] <= heights[1]
    nothing = np.full(2, np.nan)
    assert draw_class_ious(nothing, ['a', 'b'], 't', tmp_path / '3.png').is_file()


def test_predictions_of_multi_scale_tests_are_drawn_too(world, tmp_path):
    from projects.common.test import use_tta

    cfg = config('upernet_uniformer_s')
    TASK.use_folder(cfg, world)
    TASK.shrink(cfg, 64, 3)
    cfg.tta_pipeline[1].transforms[0] = cfg.tta_pipeline[1].transforms[0][2:4]
    use_tta(cfg)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).eval()
    dataset = DATASETS.build(datasets(cfg, 'test')[0])
    assert len(dataset[0]['inputs']) == 4  # two sizes, each with its mirror image
    with torch.no_grad():
        files = TASK.draw(model, dataset, tmp_path / 'out')
    assert len(files) == 3
    with pytest.raises(UserError, match='no tta_pipeline'):
        use_tta(config())
