"""The tools on poses: one's own keypoints of any skeleton, and mistakes in them."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
LEAF = ROOT / 'configs/pose/td_hm_uniformer_s_256x192.py'
TINY = f"""
_base_ = {str(LEAF)!r}
model = dict(
    backbone=dict(
        arch=dict(_delete_=True,
            depths=(1, 1, 1, 1), embed_dims=(8, 16, 24, 32), head_dim=8),
        init_cfg=None),
    head=dict(in_channels=32, deconv_out_channels=(8, 8, 8)))
"""
KITE = ['tip', 'WingLeft', 'WingRight', 'tail']


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('pose') / 'tiny.py'
    path.write_text(TINY)
    return path


@pytest.fixture
def kites(tmp_path):
    """Kites: four keypoints, no area, no num_keypoints, no flip pairs, no sigmas.

    Beside them a category that nothing is of, as Roboflow writes it.
    """
    folder = tmp_path / 'kites'
    rng = np.random.default_rng(0)
    for split, count in (('train', 6), ('val', 3)):
        (folder / split).mkdir(parents=True)
        images, things = [], []
        for number in range(count):
            image = rng.integers(0, 60, (64, 80, 3)).astype(np.uint8)
            x, y, size = rng.integers(20, 40), rng.integers(20, 32), rng.integers(8, 16)
            points = [(x, y - size), (x + size, y), (x - size, y), (x, y + size)]
            order = np.array([points[i] for i in (0, 1, 3, 2)])
            cv2.fillConvexPoly(image, order.astype(np.int32), (90, 200, 240))
            cv2.imwrite(str(folder / split / f'{number}.png'), image)
            entry = {'file_name': f'{number}.png', 'height': 64, 'width': 80}
            images.append({'id': number, **entry})
            box = [int(v) for v in (x - size, y - size, 2 * size, 2 * size)]
            values = [int(v) for point in points for v in (*point, 2)]
            thing = {'id': number, 'image_id': number, 'category_id': 1}
            things.append({**thing, 'bbox': box, 'keypoints': values})
        kite = {'id': 1, 'name': 'kite', 'keypoints': KITE}
        nothing = {'id': 0, 'name': 'things', 'supercategory': 'none'}
        categories = [nothing, kite]
        content = {'images': images, 'annotations': things, 'categories': categories}
        (folder / f'{split}.json').write_text(json.dumps(content))
    return folder


def test_own_keypoints_train_test_and_predict(call, config, kites, tmp_path):
    run = tmp_path / 'run'
    short = ('--data', kites, '--quick', 32, '--steps', 3)
    code, out, err = call('train', config, *short, '--work-dir', run)
    assert code == 0, err
    assert 'AP50' in out
    said = next(run.glob('*/*.log')).read_text() + out + err
    for words in (
        'a mirror image exchanges WingLeft and WingRight',
        'no sigmas: 0.05 are used',
        'no skeleton',
        'not all have an area',
        'no half-body',
    ):
        assert words in said
    assert len(list((run / 'pictures').glob('*.png'))) == 3
    weights = sorted(run.glob('epoch_*.pth'))[-1]
    stored = torch.load(weights, weights_only=False)
    assert stored['state_dict']['head.final_layer.bias'].shape == (4,)
    names = stored['meta']['dataset_meta']['keypoint_id2name']
    assert list(names.values()) == KITE

    code, out, err = call('test', config, weights, *short, '--work-dir', run)
    assert code == 0, err
    assert 'AP75' in out

    # A run writes its config: this is what predicts with it.
    code, _, err = call(
        'infer',
        run / 'tiny.py',
        weights,
        kites / 'val/0.png',
        '--out',
        run / 'out',
        '--score-thr',
        0,
    )
    assert code == 0, err
    content = json.loads((run / 'out/predictions.json').read_text())
    [entry] = content['inputs']
    assert content['classes'] == ['kite']
    [kite] = entry['instances']
    assert [point['name'] for point in kite['keypoints']] == KITE
    assert (run / 'out' / entry['picture']).is_file()


@pytest.mark.parametrize('options', [(), ('--quick', 32)])
def test_bad_keypoints_are_told_before_anything_is_written(
    call, config, kites, options
):
    file = kites / 'train.json'
    content = json.loads(file.read_text())
    content['annotations'][1]['bbox'] = [4, 4, 0, 9]
    content['annotations'][3].pop('keypoints')
    file.write_text(json.dumps(content))
    run = kites.parent / 'run'
    arguments = ('--data', kites, '--work-dir', run, *options)
    code, _, err = call('train', config, *arguments)
    assert code == 2
    first, second = err[err.index('error:') :].strip().splitlines()
    assert first.startswith(f'error: {file}: annotation 1 has a box without area')
    assert second == f'{file}: annotation 3 has no list "keypoints" (train)'
    assert not run.exists()


def test_without_coco_it_says_how_to_lay_it_out(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = call('train', LEAF)
    assert code == 2
    for words in ('person_keypoints_train2017.json: no such', '--data', '--demo'):
        assert words in err
    assert list(tmp_path.iterdir()) == []
