"""Whole models from files: compared by every tensor, published names translated."""

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

import projects.cls  # noqa: F401 - registers the parts of the config below
from projects.common.errors import UserError
from projects.common.weights import find_misfit, load_published
from tests.tiny import TINY, randomise
from uniformer_backbones.weights.keys import to_official


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda state: state.pop('weight'), 'weight is missing, 1 of 2'),
        (lambda state: state.update(more=torch.zeros(1)), 'more is left over'),
        (lambda state: state.update(bias=torch.zeros(9)), 'bias is of another shape'),
    ],
)
def test_every_tensor_is_compared(change, message):
    model = torch.nn.Linear(2, 3)
    state = {f'module.{key}': value for key, value in model.state_dict().items()}
    assert find_misfit(model, {'state_dict': state}) is None
    state = dict(model.state_dict())
    change(state)
    assert message in find_misfit(model, state)


def classifier(num_classes=5, **backbone):
    init_default_scope('mmpretrain')
    backbone = dict(type='uniformer_backbones.UniFormer', arch=TINY, **backbone)
    width = TINY['embed_dims'][-1]
    head = dict(type='LinearClsHead', num_classes=num_classes, in_channels=width)
    model = dict(type='ImageClassifier', backbone=backbone, head=head)
    return randomise(MODELS.build(model))


@pytest.fixture
def published(tmp_path):
    """A classifier, and a file of it as the authors wrote theirs."""
    model = classifier()
    content = {'model': to_official(model.state_dict())}
    path = tmp_path / 'published.pth'
    torch.save(content, path)
    return model, content, path


def test_published_file_fills_the_whole_model(published):
    model, content, path = published
    other = classifier()
    assert find_misfit(other, content)
    load_published(other, content, path)
    assert find_misfit(other, {'state_dict': model.state_dict()}) is None
    for key, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[key], value, msg=key)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_classes': 6}, 'it has no head.fc.weight'),
        ({'layer_scale': 'all'}, 'the layer scales differ'),
        ({'ndim': 3}, 'it is of images'),
    ],
)
def test_published_file_of_another_model_is_refused(published, options, message):
    _, content, path = published
    with pytest.raises(UserError, match=f'published.pth: is of another .*{message}'):
        load_published(classifier(**options), content, path)
