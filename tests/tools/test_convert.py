"""The tool that turns a checkpoint of one code base into one of another."""

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import projects.cls
import projects.video  # noqa: F401 - registers its heads
from tests.fixtures import read
from tests.tiny import TINY
from tests.tools.test_mistakes import check
from tests.weights.files import (
    dense_weights,
    prefixed,
    random_weights,
    to_openmixup,
)
from uniformer_backbones import load_official
from uniformer_backbones.weights import conversion
from uniformer_backbones.weights.conversion import convert_file
from uniformer_backbones.weights.writing import write_weights

LINEAR = {'num_classes': 10, 'in_channels': 64}


def save(path, weights, container='model'):
    torch.save({container: weights, 'epoch': 3}, path)
    return path


def fixture_weights(name, dtype=torch.float32):
    shapes = read(name)['state_dict']
    return {
        key: torch.zeros(shape, dtype=torch.long if key.endswith('tracked') else dtype)
        for key, shape in shapes.items()
    }


def openmixup_weights():
    """A whole classifier: the fixture is of its backbone."""
    weights = prefixed(fixture_weights('openmixup_tiny_224'), 'backbone.')
    weights['head.fc.weight'] = torch.zeros(1000, 256)
    weights['head.fc.bias'] = torch.zeros(1000)
    return weights


def build(scope, config, arch=TINY, ndim=2, **backbone):
    """An OpenMMLab model around the same tiny backbone."""
    __import__(f'{scope}.models')
    kind = {'type': 'uniformer_backbones.UniFormer', 'arch': arch, 'ndim': ndim}
    with DefaultScope.overwrite_default_scope(scope):
        return MODELS.build({**config, 'backbone': {**kind, **backbone}})


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        assert torch.equal(tensor, theirs[key]), key


@pytest.fixture
def official(tmp_path):
    """An image classification file as it is released."""
    return save(tmp_path / 'uniformer_tiny_in1k.pth', random_weights())


def test_tool_says_what_the_file_is_and_what_it_wrote(call, tmp_path):
    weights = openmixup_weights()
    source = save(tmp_path / 'tiny.pth', weights, 'state_dict')
    target = tmp_path / 'tiny.safetensors'
    code, said, _ = call('convert', source, target, '--to', 'official')
    assert code == 0
    first, second, third = said.splitlines()
    assert first.startswith(f'{source}: OpenMixup names, classification, tiny, images')
    assert '1000 classes, head_dim 32 (the only one of this arch)' in first
    assert second == "backbone: dict(type='uniformer_backbones.UniFormer', arch='tiny')"
    assert third.startswith(f'{target}: official names, {len(weights)} tensors written')
    with safe_open(target, 'pt') as file:
        facts = file.metadata()
    assert facts['arch'] == 'tiny'
    assert facts['head_dim'] == '32'
    assert facts['source'] == 'tiny.pth'


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


def test_written_file_needs_no_head_dim_again_and_keeps_half_precision(tmp_path):
    weights = fixture_weights('cls_small_224', torch.float16)
    source, target = tmp_path / 'epoch_300.pth', tmp_path / 'x.safetensors'
    save(source, weights)
    with pytest.raises(ValueError, match=r'epoch_300\.pth: its shapes do not tell'):
        convert_file(source, target)
    done = convert_file(source, target, head_dim=32)
    assert done.identity.model == {'arch': 'small', 'head_dim': 32}
    again = convert_file(target, tmp_path / 'y.safetensors', 'official')
    assert again.identity.head_dim == 32
    assert again.identity.told_by == 'from the metadata'
    assert again.identity.dtype == 'float16'
    assert load_file(tmp_path / 'y.safetensors')['norm.weight'].dtype == torch.float16
    named = convert_file(source, target, arch='small')
    assert named.identity.model == {'arch': 'small'}


def test_tool_asks_for_head_dim_with_the_values_there_are(call, tmp_path):
    weights = fixture_weights('cls_small_224', torch.float16)
    source = save(tmp_path / 'epoch_300.pth', weights)
    result = call('convert', source, tmp_path / 'x.pth')
    check(result, source, '--head-dim 32 or 64')
    assert not (tmp_path / 'x.pth').exists()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--arch', 'base'], ['is not base', 'patch_embed1', 'seems to be tiny']),
        (['--arch', 'huge'], ["unknown arch 'huge'"]),
        (['--head-dim', '0'], ['head_dim must be a positive integer, got 0']),
        (['--head-dim', '500'], ['head_dim 500 is more than the 160 channels']),
        (['--head-dim', '27'], ['another head_dim than 27']),
        (['--strict', '--to', 'backbone'], ['head (2)', 'no place in the layout']),
    ],
)
def test_options_that_do_not_fit_are_one_line(call, tmp_path, options, words):
    weights = openmixup_weights()
    source = save(tmp_path / 'x.pth', weights, 'state_dict')
    check(call('convert', source, tmp_path / 'y.pth', *options), *words)
    assert not (tmp_path / 'y.pth').exists()


@pytest.mark.parametrize(
    ('target', 'words'),
    [
        ('x.onnx', ['x.onnx: the suffix says the format', '.safetensors or .pth']),
        ('none/x.pth', ['there is no folder']),
        ('uniformer_tiny_in1k.pth', ['is the source itself']),
    ],
)
def test_target_that_cannot_be_is_one_line(call, official, target, words):
    before = official.read_bytes()
    check(call('convert', official, official.parent / target), *words)
    assert official.read_bytes() == before


def test_arch_of_its_own_is_converted_but_not_strictly(official):
    target = official.with_name('x.pth')
    done = convert_file(official, target, head_dim=16)
    assert done.identity.model['arch']['depths'] == (1, 1, 4, 1)
    with pytest.raises(ValueError, match='of no arch of the table'):
        convert_file(official, target, head_dim=16, strict=True)


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (
            lambda w: w.pop('blocks2.0.conv1.bias'),
            r'blocks2\.0\.conv1\.bias is missing',
        ),
        (
            lambda w: w.update({'blocks2.0.x': torch.ones(1)}),
            r'blocks2\.0\.x is \(1,\)',
        ),
        (lambda w: w.clear() or w.update(a=torch.ones(1)), 'no UniFormer is in it'),
        (
            lambda w: w.update({'blocks1.9999.x': torch.ones(1)}),
            'no UniFormer is in it',
        ),
        (
            lambda w: w.update({'backbone.norm.bias': torch.ones(64)}),
            r'backbone\.norm\.bias is there twice',
        ),
    ],
)
def test_file_that_is_no_whole_uniformer_is_refused(tmp_path, spoil, message):
    weights = random_weights()
    spoil(weights)
    source = save(tmp_path / 'x.pth', weights)
    with pytest.raises(ValueError, match=rf'x\.pth: .*{message}'):
        convert_file(source, tmp_path / 'y.pth', head_dim=16)
    assert not (tmp_path / 'y.pth').exists()


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_interrupted_writing_leaves_the_earlier_file(tmp_path, monkeypatch, suffix):
    target = tmp_path / f'x{suffix}'
    target.write_bytes(b'earlier')

    def fail(weights, partial, *_):
        partial.write_bytes(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', fail)
    monkeypatch.setattr('safetensors.torch.save_file', fail)
    with pytest.raises(KeyboardInterrupt):
        write_weights(target, {'a': torch.ones(1)}, {})
    assert target.read_bytes() == b'earlier'
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_views_of_one_storage_are_written_as_tensors_of_their_own(tmp_path):
    base = torch.arange(1000.0)
    views = {'a': base[:2], 'b': base[1:3]}
    for suffix in ('.pth', '.safetensors'):
        target = tmp_path / f'x{suffix}'
        write_weights(target, views, {'source': 'test'})
        assert target.stat().st_size < 3000
    assert_equal(load_file(tmp_path / 'x.safetensors'), views)


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
