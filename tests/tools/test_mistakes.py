"""A mistake is one line (a few where data or weights are missing), exit code 2."""

import shutil

import pytest
import torch

from tests.tools.conftest import DET
from uniformer_backbones import UniFormer


def options(world, tmp_path, *more):
    return ('--data', world, '--quick', 64, '--work-dir', tmp_path / 'run', *more)


def check(result, *words, lines=1):
    code, _, err = result
    assert code == 2
    said = [line for line in err.splitlines() if line.startswith('error:')]
    assert len(said) == 1
    message = err[err.index('error:') :].strip()
    assert 1 <= len(message.splitlines()) <= lines
    for word in words:
        assert str(word) in message
    assert 'Traceback' not in err


def test_a_config_that_does_not_exist(call):
    check(call('train', 'configs/det/no_such.py'), 'configs/det/no_such.py')


def test_a_file_that_is_no_config(call, tmp_path):
    path = tmp_path / 'broken.py'
    path.write_text('model = dict(')
    check(call('train', path), path)
    check(call('train', tmp_path), tmp_path)


def test_without_coco_it_says_where_it_looked_and_how_to_lay_it_out(
    call, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    check(
        call('train', DET),
        'data/coco/annotations/instances_train2017.json',
        'train2017',
        '--demo',
        lines=8,
    )
    assert list(tmp_path.iterdir()) == []


def test_missing_imagenet_weights_are_never_a_silent_random_start(
    call, world, tmp_path
):
    result = call('train', DET, *options(world, tmp_path))
    check(
        result,
        'checkpoints/uniformer_small_in1k.pth',
        '--init FILE',
        '--init none',
        lines=3,
    )
    assert not (tmp_path / 'run').exists()


def test_an_init_file_that_does_not_exist(call, world, tmp_path):
    check(
        call('train', DET, *options(world, tmp_path, '--init', tmp_path / 'no.pth')),
        'no.pth',
    )


@pytest.mark.slow
def test_init_weights_of_another_arch(call, world, tmp_path, configs):
    path = tmp_path / 'other.pth'
    torch.save({'model': UniFormer('tiny').state_dict()}, path)
    result = call(
        'train', configs / 'tiny.py', *options(world, tmp_path, '--init', path)
    )
    check(result, path, 'depths 3,4,8,3', 'depths 1,1,2,1')


@pytest.mark.parametrize(
    ('setting', 'word'),
    [
        ('model.backbone.arch=medium', 'medium'),
        ('model.backbone.ndim=4', 'ndim'),
        ('model.backbone.ndim=3', 'ndim=3'),
        ('model.backbone.window_size=0', 'window_size'),
        ('model.backbone.attention=sparse', 'sparse'),
        ('model.backbone.depth=3', 'depth'),
        ('model.backbone.type=uniformer_backbones.UniFromer', 'UniFromer'),
    ],
)
def test_a_wrong_argument_of_the_backbone(
    call, world, tmp_path, configs, setting, word
):
    arguments = options(world, tmp_path, '--init', 'none', '--cfg-options', setting)
    check(call('train', configs / 'tiny.py', *arguments), word)


def test_a_missing_annotation_file(call, world, tmp_path):
    folder = tmp_path / 'data'
    shutil.copytree(world, folder)
    path = folder / 'annotations/instances_val2017.json'
    path.unlink()
    check(call('train', DET, '--data', folder), folder, 'val', lines=6)


def test_annotations_that_are_no_coco_file(call, world, tmp_path):
    folder = tmp_path / 'data'
    shutil.copytree(world, folder)
    path = folder / 'annotations/instances_train2017.json'
    for text, word in (('{', 'json'), ('{}', 'images'), ('[1]', 'images')):
        path.write_text(text)
        check(call('train', DET, '--data', folder), path, word)


def test_an_image_folder_without_the_annotated_images(call, world, tmp_path):
    folder = tmp_path / 'data'
    shutil.copytree(world, folder)
    images = sorted((folder / 'train2017').iterdir())
    images[3].unlink()
    arguments = ('--data', folder, '--work-dir', tmp_path / 'run', '--init', 'none')
    check(call('train', DET, *arguments), images[3].name, '1 of the 8')
    shutil.rmtree(folder / 'train2017')
    check(call('train', DET, *arguments), images[0].name, lines=6)


def test_a_class_that_the_annotations_do_not_have(call, world, tmp_path, configs):
    path = configs / 'classes.py'
    path.write_text(
        "_base_ = './tiny.py'\n"
        "metainfo = dict(classes=('ring', 'unicorn'))\n"
        f'train_dataloader = dict(dataset=dict(data_root={str(world)!r},'
        ' metainfo=metainfo))\n'
    )
    check(call('train', path, '--work-dir', tmp_path / 'run'), 'unicorn')


def test_options_that_contradict_or_do_not_fit(call, world, tmp_path, configs):
    tiny = configs / 'tiny.py'
    check(call('train', tiny, '--demo', '--data', world), '--demo', '--data')
    if not torch.cuda.is_available():
        check(call('train', tiny, *options(world, tmp_path, '--amp', 'fp16')), 'bf16')
    missing = options(world, tmp_path, '--resume', tmp_path / 'no.pth')
    check(call('train', tiny, *missing), 'no.pth')
    empty = options(world, tmp_path, '--resume', tmp_path)
    check(call('train', tiny, *empty), 'no complete checkpoint')


@pytest.mark.parametrize('content', [b'', b'<html>', b'PK\x03\x04 cut'])
def test_a_file_that_is_no_checkpoint(call, world, tmp_path, configs, content):
    path = tmp_path / 'bad.pth'
    path.write_bytes(content)
    check(call('test', configs / 'tiny.py', path, *options(world, tmp_path)), path)


def test_a_checkpoint_of_another_model_is_not_tested(call, world, tmp_path, configs):
    path = tmp_path / 'other.pth'
    torch.save({'state_dict': UniFormer('tiny').state_dict()}, path)
    result = call('test', configs / 'tiny.py', path, *options(world, tmp_path))
    check(result, path, 'another model')


def test_debug_shows_the_traceback(call, world, tmp_path, configs):
    arguments = options(world, tmp_path, '--init', 'none', '--debug')
    with pytest.raises(ValueError, match='window_size'):
        call(
            'train',
            configs / 'tiny.py',
            *arguments,
            '--cfg-options',
            'model.backbone.window_size=0',
        )
