"""Checkpoints under the names of other code bases, there and back."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from safetensors.torch import load_file, save_file

import projects.cls
import projects.video  # noqa: F401 - registers its heads
from tests.fixtures import read
from tests.tiny import TINY
from tests.weights.files import (
    assert_equal,
    dense_weights,
    openmixup_weights,
    prefixed,
    random_weights,
    save,
    to_openmixup,
)
from uniformer_backbones import load_official
from uniformer_backbones.weights import conversion
from uniformer_backbones.weights.conversion import convert_file

LINEAR = {'num_classes': 10, 'in_channels': 64}


def build(scope, config, arch=TINY, ndim=2, **backbone):
    """An OpenMMLab model around the same tiny backbone."""
    __import__(f'{scope}.models')
    kind = {'type': 'uniformer_backbones.UniFormer', 'arch': arch, 'ndim': ndim}
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build({**config, 'backbone': {**kind, **backbone}})


@pytest.fixture
def official(tmp_path):
    """An image classification file as it is released."""
    return save(tmp_path / 'uniformer_tiny_in1k.pth', random_weights())


@pytest.mark.parametrize(
    ('layout', 'container'), [('official', 'model'), ('mmengine', 'state_dict')]
)
def test_classification_there_and_back_is_the_same(official, layout, container):
    weights = torch.load(official)['model']
    middle, back = official.with_name('a.pth'), official.with_name('b.safetensors')
    convert_file(official, middle, layout, head_dim=16)
    assert torch.load(middle)[container].keys() != {}
    convert_file(middle, back, 'official')  # head_dim: from the metadata
    assert_equal(load_file(back), weights)


def test_official_names_are_those_of_the_released_models(tmp_path):
    weights = openmixup_weights()
    source = save(tmp_path / 'x.pth', weights, 'state_dict')
    convert_file(source, tmp_path / 'y.pth', 'official')
    names = set(torch.load(tmp_path / 'y.pth')['model'])
    reference = read('cls_small_224')['state_dict']  # the same depths
    scales = {name for name in names if '.gamma_' in name}
    assert names - scales == set(reference)
    assert len(scales) == 2 * (3 + 4 + 8 + 3)


def test_openmixup_names_are_those_of_its_models(official):
    weights = torch.load(official)['model']
    target = official.with_name('openmixup.pth')
    convert_file(official, target, 'openmixup', head_dim=16)
    got = torch.load(target)['state_dict']
    backbone = {k: v for k, v in weights.items() if not k.startswith('head.')}
    expected = prefixed(to_openmixup(backbone), 'backbone.')
    expected['head.fc.weight'] = weights['head.weight']
    expected['head.fc.bias'] = weights['head.bias']
    assert_equal(got, expected)
    back = official.with_name('back.pth')
    convert_file(target, back, 'official')
    assert_equal(torch.load(back)['model'], weights)


def test_openmixup_fixture_goes_there_and_back(tmp_path):
    weights = openmixup_weights()
    source = save(tmp_path / 'x.pth', weights, 'state_dict')
    convert_file(source, tmp_path / 'y.pth', 'official')
    convert_file(tmp_path / 'y.pth', tmp_path / 'z.pth', 'openmixup', strict=True)
    back = torch.load(tmp_path / 'z.pth')['state_dict']
    assert_equal(back, weights)


def test_classification_becomes_an_mmpretrain_file(official):
    target = official.with_name('mm.pth')
    convert_file(official, target, head_dim=16)
    model = build(
        'mmpretrain',
        {
            'type': 'ImageClassifier',
            'neck': {'type': 'GlobalAveragePooling'},
            'head': {'type': 'LinearClsHead', **LINEAR},
        },
    )
    model.load_state_dict(torch.load(target)['state_dict'], strict=True)


def test_token_labeling_becomes_a_file_of_its_classifier(tmp_path):
    weights = random_weights()
    weights['aux_head.weight'] = torch.randn(10, 64)
    weights['aux_head.bias'] = torch.randn(10)
    source = save(tmp_path / 'x.pth', prefixed(weights, 'module.'), 'state_dict')
    target = tmp_path / 'mm.pth'
    done = convert_file(source, target, head_dim=16)
    assert done.identity.task == 'token labeling'
    model = build(
        'mmpretrain',
        {
            'type': 'TokenLabelingClassifier',
            'head': {'type': 'TokenLabelingHead', **LINEAR},
        },
    )
    model.load_state_dict(torch.load(target)['state_dict'], strict=True)
    back = tmp_path / 'back.safetensors'
    convert_file(target, back, 'official')
    assert_equal(load_file(back), weights)


def test_clips_become_an_mmaction_file(tmp_path):
    source = save(tmp_path / 'x.pth', random_weights(3), 'model_state')
    target = tmp_path / 'mm.pth'
    done = convert_file(source, target, head_dim=16)
    assert done.identity.task == 'video'
    model = build(
        'mmaction',
        {'type': 'Recognizer3D', 'cls_head': {'type': 'I3DHead', **LINEAR}},
        ndim=3,
    )
    model.load_state_dict(torch.load(target)['state_dict'], strict=True)
    convert_file(target, tmp_path / 'back.pth', 'official')
    back = torch.load(tmp_path / 'back.pth')['model_state']
    assert_equal(back, torch.load(source)['model_state'])


def test_keypoint_head_of_mmpose_0x_becomes_todays_head(tmp_path):
    weights = prefixed(dense_weights(), 'backbone.')
    weights['keypoint_head.final_layer.weight'] = torch.randn(17, 8, 1, 1)
    source = save(tmp_path / 'top_down_256x192_global_small.pth', weights, 'state_dict')
    target = tmp_path / 'pose.pth'
    done = convert_file(source, target, head_dim=16)
    assert (done.identity.task, done.renamed) == ('pose', 1)
    state = torch.load(target)['state_dict']
    assert 'head.final_layer.weight' in state
    convert_file(target, tmp_path / 'back.pth', 'official')
    assert_equal(torch.load(tmp_path / 'back.pth')['state_dict'], weights)


def test_backbone_alone_has_no_heads_and_no_prefix(official):
    target = official.with_name('backbone.safetensors')
    done = convert_file(official, target, 'backbone', head_dim=16)
    assert done.dropped == ['head.weight', 'head.bias']
    weights = load_file(target)
    assert 'blocks4.0.norm1.weight' in weights
    assert not any(key.startswith(('head', 'backbone')) for key in weights)


def test_moving_average_is_taken_on_request(tmp_path):
    plain, average = random_weights(), random_weights()
    source, target = tmp_path / 'x.pth', tmp_path / 'y.pth'
    torch.save({'model': plain, 'model_ema': average}, source)
    for ema, expected in ((False, plain), (True, average)):
        convert_file(source, target, 'official', head_dim=16, ema=ema)
        assert_equal(torch.load(target)['model'], expected)


def test_converted_file_loads_as_the_original_does(official):
    weights = torch.load(official)['model']
    for layout in conversion.LAYOUTS:
        target = official.with_name(f'{layout}.safetensors')
        convert_file(official, target, layout, head_dim=16)
        model = build('mmpretrain', {'type': 'ImageClassifier'})
        load_official(model, target)
        state = model.backbone.state_dict()
        assert all(torch.equal(state[key], weights[key]) for key in state)


def test_safetensors_of_any_names_is_read(tmp_path):
    source = tmp_path / 'uniformer.safetensors'
    weights = prefixed(random_weights(classes=0), 'backbone.')
    save_file(weights, source)
    done = convert_file(source, tmp_path / 'x.pth', 'official', head_dim=16)
    assert done.identity.source == 'OpenMMLab'
