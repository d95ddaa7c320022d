"""The tool that turns a checkpoint of one code base into one of another."""

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.tools.test_mistakes import check
from tests.weights.files import (
    fixture_weights,
    openmixup_weights,
    random_weights,
    save,
)
from uniformer_backbones.weights.conversion import convert_file


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
