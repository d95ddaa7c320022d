"""A checkpoint of one task as the backbone of the others, by one line of a config."""

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS, DefaultScope

from tests.tiny import TINY
from tests.weights.files import (
    Classifier,
    assert_holds,
    prefixed,
    random_weights,
)
from uniformer_backbones import load_official
from uniformer_backbones.weights import inflate_kernel, official

BACKBONE = {'type': 'uniformer_backbones.UniFormer', 'arch': TINY}
DENSE = {'out_indices': (0, 1, 2, 3), 'out_norm': 'layer'}
TASKS = {'det': DENSE, 'seg': DENSE, 'pose': {'out_norm': 'layer'}}


class Detector(BaseModule):
    """A library's model: it passes init_weights on to its backbone."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(backbone)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """What mmpretrain's Runner writes after training a classifier."""
    __import__('mmpretrain.models')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(
            {
                'type': 'ImageClassifier',
                'backbone': BACKBONE,
                'neck': {'type': 'GlobalAveragePooling'},
                'head': {'type': 'LinearClsHead', 'num_classes': 9, 'in_channels': 64},
            }
        )
    path = tmp_path_factory.mktemp('cls') / 'epoch_300.pth'
    content = {'meta': {'epoch': 300}, 'message_hub': {}, 'optimizer': {'state': {}}}
    torch.save({**content, 'state_dict': model.state_dict()}, path)
    return path, model


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(official, 'print_log', lambda text, **_: lines.append(text))
    return lines


def shared(model):
    """Backbone weights but for the classifier's norm."""
    weights = model.backbone.state_dict()
    return {key: value for key, value in weights.items() if not key.startswith('norm')}


@pytest.mark.parametrize('task', TASKS)
def test_trained_classifier_becomes_the_backbone_of_a_dense_task(trained, said, task):
    path, classifier = trained
    init = {'type': 'Pretrained', 'checkpoint': str(path)}
    model = Detector({**BACKBONE, **TASKS[task], 'init_cfg': init})
    model.init_weights()
    assert_holds(model, shared(classifier), 'backbone.')
    new = 2 * len(TASKS[task].get('out_indices', (3,)))  # weight and bias of a norm
    taken = len(shared(classifier))
    # norm: weight, bias, mean, variance, counter.
    line = f'{path}: {taken} tensors taken; 7 dropped: norm (5), head (2); {new} new'
    assert said[-1].startswith(line)
    assert 'OpenMMLab names, classification, ' in said[0]
    assert '9 classes' in said[0]


@pytest.mark.parametrize('mode', [None, 'center'])
def test_trained_classifier_becomes_the_backbone_of_clips(trained, said, mode):
    path, classifier = trained
    init = {'type': 'Pretrained', 'checkpoint': str(path)}
    init.update({'inflate': mode} if mode else {})
    model = Detector({**BACKBONE, 'ndim': 3, 'init_cfg': init})
    model.init_weights()
    kernel = classifier.backbone.blocks1[0].attn.weight
    ours = model.backbone.blocks1[0].attn.weight
    assert torch.equal(ours, inflate_kernel(kernel, 5, mode or 'average'))
    inflated = sum(tensor.dim() == 5 for tensor in model.state_dict().values())
    taken = len(classifier.backbone.state_dict())
    assert said[-1] == (
        f'{path}: {taken} tensors taken ({inflated} inflated); '
        '2 dropped: head (2); 0 new'
    )


@pytest.mark.parametrize(
    ('place', 'classes'), [('head.fc', 7), ('cls_head.fc_cls', 400)]
)
def test_head_of_other_classes_is_left_new_with_one_sentence(trained, place, classes):
    report = load_official(Classifier(place, classes), trained[0])
    assert str(report).endswith(
        f'. The number of classes differs, so these are left new: {place} '
        f'(9 in the file, {classes} in the model)'
    )
    assert report.resized == {place: (9, classes)}
    with pytest.raises(ValueError, match='strict was asked for'):
        load_official(Classifier(place, classes), trained[0], strict=True)


@pytest.mark.parametrize('place', ['head.fc', 'cls_head.fc_cls', 'head'])
def test_classifier_of_mmpretrain_finds_its_place_in_other_models(trained, place):
    path, classifier = trained
    model = Classifier(place, 9)
    report = load_official(model, path, strict=True)
    assert report.resized == {}
    weight = model.state_dict()[f'{place}.weight']
    assert torch.equal(weight, classifier.head.fc.weight)


@pytest.mark.parametrize('owner', ['', 'head.', 'cls_head.'])
def test_heads_beside_the_classifier_find_their_owner(owner):
    weights = random_weights()
    for name in ('aux_head', 'head_cls', 'norm_cls'):
        weights[f'{name}.weight'] = torch.randn(10, 64)
    model = Classifier('head.fc' if owner == 'head.' else 'cls_head.fc_cls')
    parent = model.get_submodule(owner.rstrip('.')) if owner else model
    for name in ('aux_head', 'head_cls', 'norm_cls'):
        parent.add_module(name, torch.nn.Linear(64, 10, bias=False))
    for file in (weights, prefixed(weights, 'module.')):
        report = load_official(model, {'state_dict': file}, strict=True)
        assert report.dropped == []
    assert_holds(model, {'aux_head.weight': weights['aux_head.weight']}, owner)


def test_checkpoint_of_a_compiled_model_has_the_usual_names(trained):
    _, classifier = trained
    weights = prefixed(classifier.backbone.state_dict(), 'backbone._orig_mod.')
    model = Classifier('head.fc', 9)
    report = load_official(model, {'state_dict': prefixed(weights, 'module.')})
    assert report.dropped == []
    assert report.new == ['head.fc.weight', 'head.fc.bias']


def test_backbone_anywhere_in_a_model_is_found(trained):
    path, classifier = trained
    model = torch.nn.ModuleDict({'student': Classifier('head.fc', 9)})
    load_official(model, path)
    weights = classifier.backbone.state_dict()
    assert_holds(model, weights, 'student.backbone.')
