"""Key names and shapes are the released ones: a file format."""

import pytest
import torch

from tests.fixture_models import build, official_name
from tests.fixtures import NAMES, read
from tests.tiny import make
from uniformer_backbones.weights.keys import to_official

LOADED = [name for name in NAMES if 'state_dict' in read(name)]


def shapes(model):
    return {
        official_name(key): list(tensor.shape)
        for key, tensor in model.state_dict().items()
    }


@pytest.mark.parametrize('name', LOADED)
def test_keys_and_shapes_are_those_of_the_reference_model(name):
    case = read(name)
    with torch.device('meta'):
        model = build(case)
    expected = to_official(case['state_dict'])
    if case['task'] == 'pose':  # one map is returned, so one norm is built
        expected = {k: v for k, v in expected.items() if not k.startswith('norm')}
        expected.update({f'norm4.{name}': [512] for name in ('weight', 'bias')})
    assert shapes(model) == expected


@pytest.mark.parametrize(
    'name',
    [
        'inflate_small_2d_to_3d',
        'inflate_small_2d_to_3d_std',
        'inflate_light_xxs_2d_to_3d',
    ],
)
def test_keys_and_shapes_of_a_clip_model_are_those_of_the_reference_model(name):
    case = read(name)
    with torch.device('meta'):
        task = case['task'].replace('cls', 'video')
        target = {'task': task, 'state_dict': case['target_state_dict']}
        model = build({**case, **target, 'arguments': case['target']['arguments']})
    assert shapes(model) == case['target_state_dict']


def test_global_window_and_hybrid_share_one_state_dict(ndim):
    states = [
        shapes(make(ndim, attention=attention))
        for attention in ('global', 'window', 'hybrid')
    ]
    assert states[0] == states[1] == states[2]


def test_every_parameter_of_a_reference_model_gets_a_gradient():
    case = read('grad_det_small_hybrid14_160')
    assert case['no_gradient'] == []
    model = make(2, out_indices=(0, 1, 2, 3), out_norm='layer').train()
    sum(out.square().sum() for out in model(torch.randn(2, 3, 64, 64))).backward()
    assert [k for k, p in model.named_parameters() if p.grad is None] == []
