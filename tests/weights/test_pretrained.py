"""``init_cfg`` takes any published file."""

import pytest
import torch
from mmengine.model import BaseModule

from tests.tiny import TINY
from tests.weights.files import assert_holds, random_weights
from uniformer_backbones import UniFormer
from uniformer_backbones.weights import inflate_kernel


@pytest.fixture
def path(tmp_path):
    """An image classification file."""
    file = tmp_path / 'uniformer_small_in1k.pth'
    torch.save({'model': random_weights(2)}, file)
    return file


def pretrained(path, **more):
    return {'type': 'Pretrained', 'checkpoint': str(path), **more}


def weights_of(path):
    weights = torch.load(path, weights_only=True)['model']
    return {k: v for k, v in weights.items() if not k.startswith(('head', 'norm'))}


@pytest.mark.parametrize('as_list', [False, True])
def test_pretrained_reads_a_classification_file_into_a_dense_model(path, as_list):
    config = pretrained(path)
    config = [config] if as_list else config
    model = UniFormer(TINY, out_norm='layer', init_cfg=config)
    model.init_weights()
    assert_holds(model, weights_of(path))
    assert (model.norm4.weight == 1).all()


@pytest.mark.parametrize('mode', [None, 'average', 'center'])
def test_pretrained_inflates_in_a_clip_model(path, mode):
    config = pretrained(path, **({'inflate': mode} if mode else {}))
    model = UniFormer(TINY, 3, init_cfg=config)
    model.init_weights()
    kernel = weights_of(path)['blocks2.0.attn.weight']
    expected = inflate_kernel(kernel, 5, mode or 'average')
    assert torch.equal(model.blocks2[0].attn.weight, expected)


def test_other_initialisers_run_before_the_file(path):
    constant = {'type': 'Constant', 'layer': 'LayerNorm', 'val': 5.0}
    model = UniFormer(TINY, out_norm='layer', init_cfg=[constant, pretrained(path)])
    model.init_weights()
    assert (model.norm4.weight == 5).all()
    assert_holds(model, weights_of(path))


def test_without_init_cfg_the_initial_values_stay(ndim):
    torch.manual_seed(0)
    model = UniFormer(TINY, ndim)
    torch.manual_seed(0)
    twin = UniFormer(TINY, ndim)
    model.init_weights()
    assert_holds(model, twin.state_dict())


def test_model_around_the_backbone_initialises_it_too(path):
    class Detector(BaseModule):
        def __init__(self):
            super().__init__()
            self.backbone = UniFormer(TINY, init_cfg=pretrained(path))
            self.neck = torch.nn.Conv2d(64, 8, 1)

    model = Detector()
    model.init_weights()
    assert_holds(model, weights_of(path), 'backbone.')


def test_wrong_inflation_mode_in_a_config_is_refused(path):
    model = UniFormer(TINY, 3, init_cfg=pretrained(path, inflate='centre'))
    with pytest.raises(ValueError, match="average, center, got 'centre'"):
        model.init_weights()
