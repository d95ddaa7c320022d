"""What a file is, from its keys and shapes; head_dim from its name."""

import functools

import pytest
import torch

from tests.fixtures import NAMES, read
from tests.tiny import TINY
from tests.weights.files import dense_weights, prefixed, random_weights, to_openmixup
from uniformer_backbones import UniFormer, list_archs, load_official
from uniformer_backbones.models.arch import ARCHS
from uniformer_backbones.weights import identify, official
from uniformer_backbones.weights.head_dim import head_dim_of_name
from uniformer_backbones.weights.identity import find_misfit
from uniformer_backbones.weights.keys import to_official

# What the task of a fixture, without its variants, is called.
TASKS = {
    'cls': 'classification',
    'openmixup': 'classification',
    'tl': 'token labeling',
    'video': 'video',
    'mmaction': 'video',
    'det': 'dense backbone',
    'seg': 'dense backbone',
    'pose': 'dense backbone',
}
WITH_WEIGHTS = [name for name in NAMES if 'state_dict' in read(name)]


@functools.cache
def names_of(arch):
    """Weights of an image model without their values."""
    with torch.device('meta'):
        return UniFormer(arch).state_dict()


def meta_weights(shapes):
    return {key: torch.empty(shape, device='meta') for key, shape in shapes.items()}


@pytest.mark.parametrize('name', WITH_WEIGHTS)
def test_fixture_is_recognised(name):
    case = read(name)
    prefix = case['checkpoint_layout'].get('key_prefix') or ''
    weights = prefixed(meta_weights(case['state_dict']), prefix.removeprefix('module.'))
    found = identify(weights)
    task = TASKS[case['task'].split('_')[0]]
    assert found.task == task
    assert found.ndim == (3 if task == 'video' else 2)
    assert (found.source == 'OpenMixup') == (case['task'] == 'openmixup')
    arguments = case['arguments']
    head_dim = arguments.get('head_dim') or ARCHS[arguments['arch']].head_dim
    assert head_dim in found.head_dims
    assert found.head_dim in (None, head_dim)
    if 'embed_dim' in arguments:
        row = ARCHS[found.arch]
        assert list(row.embed_dims) == list(arguments['embed_dim'])
        assert row.is_hourglass == ('light' in case['task'])
        assert row.is_hourglass or row.conv_stem == bool(arguments.get('conv_stem'))
    assert bool(found.model.get('temporal_overlap')) == bool(arguments.get('std'))
    assert (found.model.get('attention') == 'divided') == bool(arguments.get('split'))
    assert find_misfit(to_official(weights), found) is None


@pytest.mark.parametrize('arch', list_archs())
def test_every_arch_is_recognised(arch, ndim):
    with torch.device('meta'):
        weights = UniFormer(arch, ndim).state_dict()
    head_dim = ARCHS[arch].head_dim
    found = identify(weights, head_dim=head_dim)
    assert found.model == {'arch': arch, **({'ndim': 3} if ndim == 3 else {})}
    assert found.told_by == 'as given'


@pytest.mark.parametrize('scale', ['none', 'global', 'all'])
def test_layer_scale_is_found(scale):
    with torch.device('meta'):
        weights = UniFormer('tiny', layer_scale=scale).state_dict()
    found = identify(weights)
    assert found.model.get('layer_scale', 'all') == scale
    assert find_misfit(weights, found) is None


@pytest.mark.parametrize(
    'options',
    [
        {'temporal_overlap': True},
        {'attention': 'divided'},
        {'qkv_bias': False},
        {'in_channels': 5},
        {'layer_scale': 'global'},
    ],
    ids=str,
)
def test_arguments_that_show_in_the_weights_are_found(options):
    arch = {**TINY, 'mlp_ratio': 2, 'conv_stem': 'in_channels' in options}
    with torch.device('meta'):
        weights = UniFormer(arch, 3, **options).state_dict()
    found = identify(weights, head_dim=16)
    assert found.arch is None
    assert find_misfit(weights, found) is None
    assert options.items() <= found.model.items()
    assert found.model['arch']['mlp_ratio'] == 2
    assert found.model['arch']['conv_stem'] == arch['conv_stem']
    with torch.device('meta'):
        assert UniFormer(**found.model).state_dict().keys() == weights.keys()


HEADS = {
    'detection': 'roi_head.bbox_head.fc_cls.weight',
    'segmentation': 'decode_head.conv_seg.weight',
    'pose': 'keypoint_head.final_layer.weight',
    'token labeling': 'aux_head.weight',
}


@pytest.mark.parametrize('task', HEADS)
def test_heads_tell_the_task(task):
    weights = prefixed(dense_weights(), 'backbone.')
    assert identify(weights).task == 'dense backbone'
    weights[HEADS[task]] = torch.ones(3, 64)
    assert identify(weights).task == task
    assert identify(weights).source == 'OpenMMLab'


@pytest.mark.parametrize('task', HEADS)
def test_published_tasks_tell_head_dim_but_classification_does_not(task):
    weights = dict(names_of('small'))
    assert identify(weights).head_dim is None
    weights[HEADS[task]] = torch.ones(3, 512)
    found = identify(weights)
    expected = None if task == 'token labeling' else 64
    assert found.head_dim == expected
    assert not found.is_told


# Released names, and what the models of these names have (architecture 7).
RELEASED = {
    'uniformer_small_in1k.pth': ('small', 64),
    'uniformer_small_plus_in1k.pth': ('small_plus', 32),
    'uniformer_small_plus_dim64_in1k.pth': ('small_plus', 64),
    'uniformer_base_in1k.pth': ('base', 64),
    'uniformer_small_tl_224.pth': ('small', 32),
    'uniformer_small_tl_384.pth': ('small', 32),
    'uniformer_small_dim64_tl_224.pth': ('small', 64),
    'uniformer_small_plus_tl_224.pth': ('small_plus', 32),
    'uniformer_small_plus_dim64_tl_224.pth': ('small_plus', 64),
    'uniformer_base_tl_224.pth': ('base', 32),
    'uniformer_base_dim64_tl_224.pth': ('base', 64),
    'uniformer_small_k400_16x8.pth': ('small', 64),
    'uniformer_base_sthv2_32_prek600.pth': ('base', 64),
    'mask_rcnn_1x_hybrid_small.pth': ('small', 64),
    'cascade_mask_rcnn_3x_ms_hybrid_base.pth': ('base', 64),
    'fpn_hybrid_base.pth': ('base', 64),
    'upernet_global_small.pth': ('small', 64),
    'top_down_256x192_global_small-d4a7fdac_20230724.pth': ('small', 64),
}


@pytest.mark.parametrize('name', RELEASED)
def test_released_name_tells_head_dim(name):
    arch, head_dim = RELEASED[name]
    assert head_dim_of_name(name, (arch,)) == head_dim
    found = identify(names_of(arch), f'/tl/dim32/{name}')
    assert found.head_dim == head_dim
    assert found.is_told


@pytest.mark.parametrize('name', ['epoch_300.pth', 'best.pth', 'latest.pth', '', 'x'])
def test_other_names_tell_nothing(name):
    assert head_dim_of_name(name, ('small',)) is None


@pytest.mark.parametrize(
    ('meta', 'expected'),
    [
        ({'uniformer_backbones': '0.1', 'head_dim': '32', 'arch': 'small'}, 32),
        ({'uniformer_backbones': '0.1', 'arch': 'small'}, 64),
        ({'head_dim': '32'}, None),
        ({'uniformer_backbones': '0.1', 'head_dim': '9' * 99, 'arch': ['x']}, None),
        ('text', None),
    ],
)
def test_metadata_of_our_tools_tells_head_dim(meta, expected):
    weights = dict(names_of('small'))
    assert identify(weights, meta=meta).head_dim == expected


def test_openmixup_has_the_head_dim_of_its_arch():
    with torch.device('meta'):
        weights = to_openmixup(UniFormer('small', layer_scale='all').state_dict())
    found = identify(weights)
    assert (found.source, found.head_dim) == ('OpenMixup', 64)
    assert found.model == {'arch': 'small', 'layer_scale': 'all'}


def test_loading_says_what_the_file_is_and_warns_of_another_head_dim(
    tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(official, 'print_log', lambda text, **_: said.append(text))
    weights = {
        key: torch.zeros(shape, dtype=torch.half)
        for key, shape in read('cls_small_224')['state_dict'].items()
    }
    path = tmp_path / 'uniformer_small_tl_224.pth'
    torch.save({'model': weights}, path)
    load_official(UniFormer('small', head_dim=32), path)
    assert said[0] == (
        f'{path}: official names, classification, small, images, float16, '
        '1000 classes, head_dim 32 (from the file name)'
    )
    assert len(said) == 2
    load_official(UniFormer('small'), path)
    assert len(said) == 5
    assert 'head_dim is 32 (from the file name), but 64 in the model' in said[3]


def test_strict_refuses_what_would_be_left():
    model = UniFormer(TINY)
    with pytest.raises(
        ValueError, match=r'strict was asked for: .*2 dropped: head \(2\)'
    ):
        load_official(model, random_weights(), strict=True)
    report = load_official(model, random_weights(classes=0), strict=True)
    assert (report.dropped, report.new) == ([], [])
