"""The tools on segmentation: one's own folder of masks, and mistakes in it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from projects.common.world.ade20k import write_ade20k
from projects.common.world.landscape import LANDSCAPE_CLASSES

ROOT = Path(__file__).resolve().parents[2]
LEAF = ROOT / 'configs/seg/fpn_uniformer_s.py'
TINY = f"""
_base_ = {str(LEAF)!r}
model = dict(
    backbone=dict(
        arch=dict(_delete_=True,
            depths=(1, 1, 1, 1), embed_dims=(8, 16, 24, 32), head_dim=8),
        init_cfg=None),
    neck=dict(in_channels=[8, 16, 24, 32], out_channels=16),
    decode_head=dict(in_channels=[16, 16, 16, 16], channels=16))
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('seg') / 'tiny.py'
    path.write_text(TINY)
    return path


@pytest.fixture
def masks(tmp_path):
    return write_ade20k(tmp_path / 'masks', num_train=6, num_val=3, size=64)


@pytest.mark.slow
def test_own_folder_trains_tests_and_predicts(call, config, masks, tmp_path):
    run = tmp_path / 'run'
    short = ('--data', masks, '--quick', 32, '--steps', 3)
    code, out, err = call('train', config, *short, '--work-dir', run)
    assert code == 0, err
    assert 'mean IoU (%)' in out
    assert (run / 'pictures/class_iou.png').is_file()
    assert (run / 'curve.png').is_file()
    weights = run / 'iter_3.pth'
    stored = torch.load(weights, weights_only=False)
    assert tuple(stored['meta']['dataset_meta']['classes']) == LANDSCAPE_CLASSES

    code, out, err = call('test', config, weights, *short[:4], '--work-dir', run)
    assert code == 0, err
    assert 'mean IoU (%)' in out

    # The config of the run knows the classes, and what registers its data set.
    photo = next((masks / 'images/validation').iterdir())
    arguments = (run / 'tiny.py', weights, photo, '--out', run / 'out')
    code, _, err = call('infer', *arguments)
    assert code == 0, err
    found = json.loads((run / 'out/predictions.json').read_text())
    assert tuple(found['classes']) == LANDSCAPE_CLASSES
    [entry] = found['inputs']
    assert sum(part['share'] for part in entry['classes']) == pytest.approx(1, abs=0.01)
    assert (run / 'out' / entry['mask']).is_file()


@pytest.mark.slow
def test_one_folder_of_coloured_masks_is_trained_and_tested_on(call, config, tmp_path):
    data = tmp_path / 'data'
    for name in ('images', 'masks'):
        (data / name).mkdir(parents=True)
    for number in range(2):
        image = np.full((48, 64, 3), 90, np.uint8)
        image[:, 32:] = 200
        mask = np.where(image > 100, np.uint8([0, 128, 0]), np.uint8([0, 0, 200]))
        cv2.imwrite(str(data / f'images/{number}.jpg'), image)
        cv2.imwrite(str(data / f'masks/{number}.png'), mask)
    (data / 'classes.txt').write_text('left 200 0 0\nright 0 128 0\n')
    short = ('--data', data, '--quick', 32, '--steps', 2)
    code, out, err = call('train', config, *short, '--work-dir', tmp_path / 'run')
    assert code == 0, err
    assert 'training and testing on the same images' in out
    assert 'right' in out


def check(result, *words, lines=1):
    code, _, err = result
    assert code == 2
    message = err[err.index('error:') :].strip()
    assert len(message.splitlines()) <= lines
    for word in words:
        assert str(word) in message
    assert 'Traceback' not in err


def test_without_ade20k_it_says_how_to_lay_it_out(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(
        call('train', LEAF),
        'data/ade/ADEChallengeData2016/images/training: no such folder',
        'classes.txt',
        '--data FOLDER',
        '--demo',
        lines=9,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (np.zeros((8, 64), np.uint8), 'the image is 64 x 64, its mask 64 x 8'),
        (np.full((64, 64), 77, np.uint8), 'holds label 77, but labels go from 0 to 8'),
        (np.zeros((64, 64), np.uint16), 'is no 8-bit mask'),
        (np.zeros((64, 64, 3), np.uint8), 'is a colour picture'),
        (None, 'has no mask'),
    ],
    ids=['size', 'label', '16 bit', 'colours', 'missing'],
)
def test_a_wrong_mask_is_one_line_before_anything_is_written(
    call, config, masks, tmp_path, mask, message
):
    file = sorted((masks / 'annotations/training').iterdir())[3]
    file.unlink()
    if mask is not None:
        cv2.imwrite(str(file), mask)
    run = tmp_path / 'run'
    result = call('train', config, '--data', masks, '--work-dir', run)
    check(result, file.stem, message, 'train')
    assert not run.exists()


@pytest.mark.slow
def test_a_wrong_label_that_was_not_read_before_is_one_line_while_training(
    call, config, masks, tmp_path, monkeypatch
):
    monkeypatch.setattr('projects.seg.checks.READ_MASKS', 1)
    for file in sorted((masks / 'annotations/training').iterdir())[1:]:
        cv2.imwrite(str(file), np.full((64, 64), 77, np.uint8))
    short = ('--data', masks, '--quick', 32, '--steps', 3)
    result = call('train', config, *short, '--work-dir', tmp_path / 'run')
    check(result, masks, 'holds label 77, but labels go from 0 to 8')


@pytest.mark.slow
def test_a_layout_of_the_same_weights_is_tested_without_training(call, masks, tmp_path):
    """``_h32`` over the checkpoint of the global config."""
    paths = {}
    for suffix in ('', '_h32'):
        paths[suffix] = tmp_path / f'tiny{suffix}.py'
        leaf = LEAF.with_name(f'{LEAF.stem}{suffix}.py')
        paths[suffix].write_text(TINY.replace(repr(str(LEAF)), repr(str(leaf))))
    short = ('--data', masks, '--quick', 32, '--steps', 1)
    code, _, err = call('train', paths[''], *short, '--work-dir', tmp_path / 'run')
    assert code == 0, err
    arguments = (paths['_h32'], tmp_path / 'run/iter_1.pth', *short[:4])
    code, out, err = call('test', *arguments, '--work-dir', tmp_path / 'other')
    assert code == 0, err
    assert 'mean IoU (%)' in out
    assert 'missing keys' not in out
    assert 'unexpected key' not in out
