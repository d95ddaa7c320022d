"""The tools on classification: one's own folder of images, and mistakes in it."""

import json
import re
from pathlib import Path

import pytest
import torch

from projects.common.world.imagenet import write_imagenet
from uniformer_backbones.weights.keys import to_official

ROOT = Path(__file__).resolve().parents[2]
LEAF = ROOT / 'configs/cls/uniformer_t.py'
TINY = f"""
_base_ = {str(LEAF)!r}
model = dict(
    backbone=dict(arch=dict(_delete_=True,
        depths=(1, 1, 1, 1), embed_dims=(8, 16, 24, 32), head_dim=8)),
    head=dict(in_channels=32))
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp('cls') / 'tiny.py'
    path.write_text(TINY)
    return path


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'cache/demo'))


@pytest.fixture
def images(tmp_path):
    return write_imagenet(tmp_path / 'images', 16, 8, size=64)


def test_own_folder_trains_tests_and_predicts(call, config, images, tmp_path):
    run = tmp_path / 'run'
    short = ('--data', images, '--quick', 32, '--steps', 2)
    code, out, err = call('train', config, *short, '--work-dir', run)
    assert code == 0, err
    assert 'top-1' in out
    assert (run / 'pictures/predictions.png').is_file()
    assert 'parameter groups' in next(run.glob('*/*.log')).read_text()
    weights = sorted(run.glob('epoch_*.pth'))[-1]
    stored = torch.load(weights, weights_only=False)
    classes = stored['meta']['dataset_meta']['classes']
    assert list(classes) == sorted(p.name for p in (images / 'train').iterdir())

    code, out, err = call('test', config, weights, *short[:4], '--work-dir', run)
    assert code == 0, err
    assert 'top-1' in out

    # The same under the names and in the container of the official release.
    published = tmp_path / 'published.pth'
    torch.save({'model': to_official(stored['state_dict'])}, published)
    code, same, err = call('test', config, published, *short[:4], '--work-dir', run)
    assert code == 0, err
    assert top_1(same) == top_1(out)

    photo = next((images / 'val/striped_star').iterdir())
    own = (
        f'model.head.num_classes={len(classes)}',
        f'model.data_preprocessor.num_classes={len(classes)}',
    )
    scores = []
    for file in (weights, published):
        code, _, err = call(
            'infer', config, file, photo, '--out', run / 'out', '--cfg-options', *own
        )
        assert code == 0, err
        [entry] = json.loads((run / 'out/predictions.json').read_text())['inputs']
        scores.append(entry['score'])
        assert entry['class'] in classes or file == published
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def top_1(printed):
    [value] = re.findall(r'top-1[^\d]+([\d.]+)', printed)
    return value


def check(result, *words, lines=1):
    code, _, err = result
    assert code == 2
    message = err[err.index('error:') :].strip()
    assert len(message.splitlines()) <= lines
    for word in words:
        assert str(word) in message
    assert 'Traceback' not in err


def test_without_imagenet_it_says_how_to_lay_it_out(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(
        call('train', LEAF),
        'data/imagenet/train: no such folder',
        'n01440764',
        '--data FOLDER',
        '--demo',
        lines=7,
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_or_of_another_layout(call, config, tmp_path):
    for folder, word in (
        (tmp_path / 'none', 'no such folder'),
        (tmp_path, 'no images'),
    ):
        check(call('train', config, '--data', folder), folder, word, lines=3)


def test_images_that_cannot_be_read(call, config, images, tmp_path):
    files = sorted((images / 'train/plain_box').iterdir())
    files[0].write_bytes(files[0].read_bytes()[:-200])
    result = call('train', config, '--data', images, '--work-dir', tmp_path / 'run')
    check(result, files[0], '1 of 16 train images')
    assert not (tmp_path / 'run').exists()


def test_folders_that_are_not_the_thousand_classes(call, config, images):
    options = (
        '--cfg-options',
        *(
            f'{split}_dataloader.dataset.data_root={images}'
            for split in ('train', 'val')
        ),
    )
    check(call('train', config, *options), '8 class folders', '1000 classes', '--data')
