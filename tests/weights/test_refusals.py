"""What does not fit is refused in one line, and the model stays as it was."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.tiny import TINY, make, make_dense
from tests.weights.files import (
    assert_holds,
    assert_unchanged,
    prefixed,
    random_weights,
    snapshot,
)
from uniformer_backbones import UniFormer, load_official


def refuse(model, file, message, error=ValueError):
    before = snapshot(model)
    with pytest.raises(error, match=message) as caught:
        load_official(model, file)
    assert '\n' not in str(caught.value)
    assert_unchanged(model, before)
    return str(caught.value)


@pytest.mark.parametrize(
    ('arch', 'key'),
    [
        ({'depths': (1, 1, 5, 1)}, r'blocks3\.4\.\S+ is not in the model'),
        ({'depths': (1, 1, 3, 1)}, r'blocks3\.3\.\S+ is not in the checkpoint'),
        ({'embed_dims': (16, 48, 64, 64)}, r'patch_embed2\.\S+ is \(48'),
        ({'mlp_ratio': 2}, r'blocks1\.0\.mlp\.fc1\.weight is \(32, .* not \(64'),
        ({'conv_stem': True}, r'patch_embed1\.proj\.\S+ is not in the'),
    ],
)
@pytest.mark.parametrize('dense', [False, True])
def test_file_of_another_arch_is_refused_with_a_key(ndim, arch, key, dense):
    weights = random_weights(ndim, arch={**TINY, **arch})
    model = make_dense(ndim) if dense else make(ndim)
    text = refuse(model, {'model': weights}, key)
    kind = {2: 'images', 3: 'clips'}[ndim]
    assert f'the model has depths 1,1,4,1, widths 16,32,64,64, {kind}' in text
    depths = ','.join(map(str, arch.get('depths', TINY['depths'])))
    assert f'the checkpoint has depths {depths}, ' in text


@pytest.mark.parametrize(
    ('file', 'model'), [('none', 'all'), ('all', 'none'), ('global', 'all')]
)
def test_layer_scale_that_one_side_lacks_is_refused_with_the_remedy(ndim, file, model):
    weights = random_weights(ndim, layer_scale=file)
    refuse(
        make(ndim, layer_scale=model),
        weights,
        r'blocks[1-4]\.0\.gamma_[12] is not in the .*argument layer_scale',
    )


def test_clip_weights_for_a_model_of_images_are_refused():
    message = r'\(16, 3, 3, 4, 4\), not \(16, 3, 4, 4\).*clips; the model has .*images'
    refuse(make(2), random_weights(3), message)


@pytest.mark.parametrize('attention', ['global', 'divided'])
def test_overlapping_clip_weights_for_a_plain_clip_model_are_refused(attention):
    weights = random_weights(3, temporal_overlap=True)
    message = r'patch_embed2\.proj\.weight is \(32, 16, 3, 2, 2\), not \(32, 16, 1'
    refuse(make(3, attention=attention), weights, message)


def test_one_missing_tensor_is_enough_to_refuse(ndim):
    for key in ('patch_embed1.norm.bias', 'blocks2.0.attn.weight'):
        weights = random_weights(ndim)
        del weights[key]
        refuse(make(ndim), weights, f'{key} is not in the checkpoint')


def test_one_tensor_too_many_is_enough_to_refuse(ndim):
    weights = random_weights(ndim)
    weights['blocks4.0.attn.relative_position'] = torch.zeros(3)
    refuse(make(ndim), weights, 'blocks4.0.attn.relative_position is not in the model')


def test_light_file_is_refused_for_a_plain_model():
    weights = random_weights()
    weights['cls_token'] = torch.zeros(1, 1, 64)
    refuse(make(), weights, 'cls_token is not in the model')


def test_first_misfit_is_the_same_every_time():
    # Sets of strings have another order in every process; the message must not.
    model = make(arch={**TINY, 'depths': (2, 2, 4, 1)})
    text = refuse(model, random_weights(), 'is not in the checkpoint')
    first = next(key for key in model.state_dict() if key.startswith('blocks1.1.'))
    assert f'{first} is not in the checkpoint' in text


@pytest.mark.parametrize(
    ('file', 'message'),
    [
        ({}, 'holds no weights; its entries are'),
        ({'epoch': 3, 'args': 'x'}, r"holds no weights; .*\['args', 'epoch'\]"),
        ({'model': {}}, 'holds no weights'),
        ({'weight': torch.zeros(3)}, 'patch_embed1.*is not in the checkpoint'),
        ({'layer1.0.conv1.weight': torch.zeros(3)}, 'not in the checkpoint'),
    ],
)
def test_file_without_a_uniformer_is_refused(file, message):
    refuse(make(), file, message)


def test_model_without_a_uniformer_is_refused():
    refuse(nn.Linear(3, 3), random_weights(), 'Linear has no UniFormer backbone')


@pytest.mark.parametrize('mode', ['centre', 'mean', None, 3])
def test_unknown_inflation_mode_is_refused(ndim, mode):
    with pytest.raises(ValueError, match='mode must be one of average, center, got'):
        load_official(make(ndim), random_weights(), inflate=mode)


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('as_text', [True, False], ids=['str', 'Path'])
def test_file_is_read_from_disk(tmp_path, suffix, as_text):
    weights = random_weights()
    path = tmp_path / f'uniformer{suffix}'
    if suffix == '.pth':
        torch.save({'model': prefixed(weights, 'module.')}, path)
    else:
        save_file(weights, path)
    model = make()
    report = load_official(model, str(path) if as_text else path)
    assert sorted(report.dropped) == ['head.bias', 'head.weight']
    assert_holds(model, {k: v for k, v in weights.items() if k[:4] != 'head'})


def test_missing_file_is_one_line_with_its_name(tmp_path):
    path = tmp_path / 'absent.pth'
    refuse(make(), path, r'absent\.pth does not exist', FileNotFoundError)


@pytest.mark.parametrize('content', [b'', b'<html>', b'PK\x03\x04 damaged'])
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_damaged_file_is_one_line_with_its_name(tmp_path, content, suffix):
    path = tmp_path / f'damaged{suffix}'
    path.write_bytes(content)
    refuse(make(), path, f'damaged{suffix} is not a readable checkpoint')


def test_misfit_of_a_file_names_the_file(tmp_path):
    path = tmp_path / 'deep.pth'
    torch.save(random_weights(arch={**TINY, 'depths': (1, 1, 5, 1)}), path)
    refuse(make(), path, r'deep\.pth: blocks3\.4\.')


def test_error_inside_a_config_reaches_the_user_unchanged(tmp_path):
    missing = str(tmp_path / 'absent.pth')
    model = UniFormer(TINY, init_cfg={'type': 'Pretrained', 'checkpoint': missing})
    with pytest.raises(FileNotFoundError, match=r'absent\.pth does not exist'):
        model.init_weights()
