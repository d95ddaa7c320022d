"""timm's own checks of a model (its tests/test_models.py), on ours."""

import math
import subprocess
import sys

import pytest
import timm
import torch
from timm.models import FeatureInfo, group_parameters, is_model_pretrained
from timm.optim import param_groups_layer_decay

from tests.fixture_weights import make_state_dict
from tests.fixtures import read
from tests.parity import compare, inputs
from uniformer_backbones import UniFormer, list_archs, timm_models

NAMES = [f'uniformer_{arch}' for arch in list_archs()]
LARGE = ('uniformer_base', 'uniformer_base_ls', 'uniformer_large_ls')
ALL = [
    pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name
    for name in NAMES
]
# The smallest of each kind: plain with layer scale, hourglass.
QUICK = ['uniformer_tiny', 'uniformer_xxs']


def create(name='uniformer_tiny', **arguments):
    return timm.create_model(name, **arguments)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_every_arch_is_registered():
    assert set(timm.list_models('uniformer_*')) == set(NAMES)
    assert timm.list_models(module='timm_models') == sorted(NAMES)
    assert not any(map(is_model_pretrained, NAMES))


@pytest.mark.parametrize('name', NAMES)
def test_default_cfg_names_what_the_model_has(name):
    with torch.device('meta'):
        model = create(name)
        config = model.default_cfg
        state = model.state_dict()
        assert f'{config["classifier"]}.weight' in state
        assert f'{config["first_conv"]}.weight' in state
        channels = [info['num_chs'] for info in model.feature_info]
        assert channels == list(model.arch.embed_dims)
        assert model.num_features == channels[-1]
        assert model.get_classifier() is model.head
    assert config['input_size'] == (3, 224, 224)
    assert model.pretrained_cfg['architecture'] == name


@pytest.mark.parametrize('name', ALL)
def test_forward_and_backward_reach_every_parameter(name):
    model = create(name, num_classes=42).train()
    # 64 pixels: four tokens at the end, so that a hourglass has some to shrink.
    outputs = model(torch.randn(2, 3, 64, 64))
    outputs.mean().backward()
    assert outputs.shape == (2, 42)
    assert not outputs.isnan().any()
    silent = [key for key, p in model.named_parameters() if p.grad is None]
    assert silent == []


@pytest.mark.parametrize('name', QUICK)
def test_head_and_pooling_can_be_removed_and_replaced(name):
    model = create(name).eval()
    x = torch.randn(1, 3, 96, 64)
    assert model.forward_features(x).shape == (1, model.num_features, 3, 2)
    features = model.forward_head(model.forward_features(x), pre_logits=True)
    assert features.shape == (1, model.num_features)
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), features)
    model.reset_classifier(0, '')
    assert model(x).shape == (1, model.num_features, 3, 2)
    model.reset_classifier(5, 'max')
    assert model(x).shape == (1, 5)
    assert model.num_classes == 5
    with pytest.raises(ValueError, match=r"must be one of .*got 'mean'"):
        model.reset_classifier(5, 'mean')
    with pytest.raises(ValueError, match='a head needs pooling'):
        model.reset_classifier(5, '')


@pytest.mark.parametrize('name', ALL)
def test_features_only_gives_maps_of_the_promised_size(name):
    model = create(name, features_only=True).eval()
    channels, reduction = model.feature_info.channels(), model.feature_info.reduction()
    assert reduction == [4, 8, 16, 32]
    maps = model(torch.randn(1, 3, 64, 96))
    assert len(maps) == len(channels) == 4
    for got, width, stride in zip(maps, channels, reduction, strict=True):
        assert got.shape == (1, width, 64 // stride, 96 // stride)
        assert not got.isnan().any()


@pytest.mark.parametrize('name', QUICK)
@pytest.mark.parametrize('indices', [(0,), (0, 1), (0, 2), (1, 3), (-1,)], ids=str)
def test_out_indices_choose_the_maps_and_later_stages_are_pruned(name, indices):
    whole = create(name).eval()
    model = create(name, features_only=True, out_indices=indices).eval()
    own = model.model.state_dict()
    own.update({k: v for k, v in whole.state_dict().items() if k in own})
    model.model.load_state_dict(own)
    x = torch.randn(1, 3, 64, 64)
    expected = whole.forward_intermediates(x, intermediates_only=True)
    got = model(x)
    assert len(got) == len(indices)
    for index, ours in zip(indices, got, strict=True):
        torch.testing.assert_close(ours, expected[index])
    last = max(index % 4 for index in indices)
    kept = {key.split('.')[0] for key in own}
    assert all((f'blocks{s}' in kept) == (s <= last + 1) for s in (1, 2, 3, 4))
    assert not any(key.startswith(('head', 'norm')) for key in own)


@pytest.mark.parametrize('name', QUICK)
def test_intermediates_agree_with_features(name):
    model = create(name).eval()
    info = FeatureInfo(model.feature_info, len(model.feature_info))
    x = torch.randn(1, 3, 96, 96)
    final, maps = model.forward_intermediates(x)
    torch.testing.assert_close(final, model.forward_features(x))
    for got, width, stride in zip(maps, info.channels(), info.reduction(), strict=True):
        assert got.shape[1] == width
        assert got.shape[-1] == math.ceil(96 / stride)
    normed = model.forward_intermediates(x, 1, norm=True, intermediates_only=True)
    assert len(normed) == 1
    torch.testing.assert_close(normed[0], final)
    with pytest.raises(ValueError, match="must be NCHW, got 'NHWC'"):
        model.forward_intermediates(x, output_fmt='NHWC')


@pytest.mark.parametrize('name', QUICK)
def test_checkpointing_changes_no_gradient(name):
    model = create(name, num_classes=3).train()
    x, found = torch.randn(2, 3, 64, 64), []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        model(x).square().mean().backward()
        found.append(model.blocks3[0].attn.qkv.weight.grad.clone())
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name', QUICK)
def test_layer_decay_groups_follow_the_depth(name):
    model = create(name)
    depths = model.arch.depths
    layers = group_parameters(model, model.group_matcher(), reverse=True)
    assert (
        layers[
            'patch_embed1.norm.bias' if name == QUICK[0] else 'patch_embed1.proj.0.bias'
        ]
        == 0
    )
    assert layers['blocks1.0.conv1.weight'] == 1
    assert layers['blocks2.1.conv1.weight'] == depths[0] + 2
    assert layers['patch_embed3.proj.weight'] == layers['blocks3.0.attn.qkv.weight']
    last = layers[f'blocks4.{depths[3] - 1}.attn.qkv.weight']
    assert last == sum(depths)
    assert layers['head.weight'] > last
    coarse = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    assert coarse['blocks4.0.norm1.bias'] == coarse['patch_embed4.proj.weight'] == 4
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    counted = sum(len(group['params']) for group in groups)
    assert counted == len(list(model.parameters()))


def test_names_are_those_of_the_released_classifier():
    with torch.device('meta'):
        ours = create('uniformer_small').state_dict()
    reference = read('cls_small_224')['state_dict']
    assert {key: list(value.shape) for key, value in ours.items()} == reference


@pytest.fixture(scope='module')
def released(tmp_path_factory):
    """The weights of a fixture as a released file."""
    case = read('eps_cls_small_96')
    arrays = make_state_dict(case['state_dict'], case['salt'], case['weight_profile'])
    weights = {key: torch.as_tensor(value) for key, value in arrays.items()}
    path = tmp_path_factory.mktemp('timm') / 'uniformer_small_in1k.pth'
    torch.save({'model': weights}, path)
    return path, case


@pytest.mark.parametrize(
    'how',
    [
        lambda path: {'checkpoint_path': str(path)},
        lambda path: {
            'pretrained': True,
            'pretrained_cfg_overlay': {'file': str(path)},
        },
    ],
    ids=['checkpoint_path', 'pretrained'],
)
def test_released_file_gives_the_official_scores(released, how):
    path, case = released
    model = create('uniformer_small', **how(path)).eval()
    with torch.no_grad():
        scores = model(inputs(case))
    assert compare(scores, case['outputs'][0], case['salt']) < 1e-4


def test_released_file_adapts_to_channels_and_classes(released):
    path, _ = released
    overlay = {'file': str(path)}
    model = create(
        'uniformer_small',
        pretrained=True,
        pretrained_cfg_overlay=overlay,
        in_chans=1,
        num_classes=7,
    )
    stored = torch.load(path)['model']['patch_embed1.proj.weight']
    ours = model.patch_embed1.proj.weight
    torch.testing.assert_close(ours, stored.sum(1, keepdim=True))
    assert model.eval()(torch.randn(1, 1, 32, 32)).shape == (1, 7)


def test_file_of_another_task_gives_the_features(tmp_path):
    dense = UniFormer('tiny', out_indices=(0, 1, 2, 3), out_norm='layer')
    path = tmp_path / 'det.pth'
    weights = {f'backbone.{key}': value for key, value in dense.state_dict().items()}
    torch.save({'state_dict': weights}, path)
    overlay = {'file': str(path)}
    model = create(pretrained=True, pretrained_cfg_overlay=overlay, features_only=True)
    assert torch.equal(
        model.model.blocks3[2].mlp.fc1.weight, dense.blocks3[2].mlp.fc1.weight
    )


def test_pretrained_without_a_file_is_one_clear_line():
    with pytest.raises(ValueError, match=r'uniformer_small: its weights .*file=FILE'):
        create('uniformer_small', pretrained=True)


def test_arguments_of_both_libraries_are_passed_on():
    model = create(
        'uniformer_tiny',
        drop_path_rate=0.3,
        drop_rate=0.2,
        head_dim=16,
        attention='window',
        window_size=7,
    )
    assert model.head_drop.p == 0.2
    assert model.blocks3[0].attn.num_heads == 160 // 16
    assert model.blocks3[0].attn.window_size == 7
    assert model.no_weight_decay() == {'pos_embed', 'cls_token'}


@pytest.mark.slow
def test_importing_the_package_alone_registers_nothing():
    assert timm_models.TimmUniFormer.__module__ == 'uniformer_backbones.timm_models'
    code = (
        'import timm, uniformer_backbones\n'
        "assert not timm.list_models('uniformer_*')\n"
        'import uniformer_backbones.timm_models\n'
        "print(timm.create_model('uniformer_tiny', num_classes=2).num_classes)\n"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.stdout.strip() == '2', done.stderr
