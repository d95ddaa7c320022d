"""Published files of every task, container and code base."""

import pytest
import torch

from tests.tiny import TINY, assert_same, make, make_dense, make_input
from tests.weights.files import (
    Classifier,
    assert_holds,
    dense_weights,
    prefixed,
    random_weights,
    to_openmixup,
)
from uniformer_backbones import UniFormer, load_official
from uniformer_backbones.weights import LoadReport, official

CLASSIFIER = ['head.weight', 'head.bias']
BATCH_NORM = ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
OTHER = {'epoch': 3, 'optimizer': {'state': {}}, 'args': None, 'meta': {'mmcv': '1.3'}}


@pytest.mark.parametrize('container', [None, 'state_dict', 'model_state', 'model'])
@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.', 'module.backbone.'])
def test_every_container_and_prefix_is_unwrapped(ndim, container, prefix):
    weights = random_weights(ndim, classes=0)
    file = prefixed(weights, prefix)
    file = {container: file, **OTHER} if container else {**file, 'epoch': 3}
    model = UniFormer(TINY, ndim)
    report = load_official(model, file)
    assert_holds(model, weights)
    assert (report.dropped, report.new, report.inflated) == ([], [], [])
    assert sorted(report.loaded) == sorted(weights)


@pytest.mark.parametrize('ema', ['model_ema', 'state_dict_ema'])
def test_moving_average_is_taken_on_request_and_where_there_is_nothing_else(ema):
    plain, average = random_weights(classes=0), random_weights(classes=0)
    file = {'state_dict': plain, ema: average}
    model = UniFormer(TINY)
    load_official(model, file)
    assert_holds(model, plain)
    load_official(model, file, ema=True)
    assert_holds(model, average)
    load_official(model, {'state_dict': plain}, ema=True)
    assert_holds(model, plain)
    load_official(model, {ema: average, 'epoch': 1})
    assert_holds(model, average)


def test_classification_to_dense_drops_head_and_batch_norm(ndim):
    weights = random_weights(ndim)
    model = make_dense(ndim)
    fresh = model.norm2.weight.clone()
    report = load_official(model, {'model': weights})
    assert sorted(report.dropped) == sorted(
        [*CLASSIFIER, *(f'norm.{name}' for name in BATCH_NORM)]
    )
    assert sorted(report.new) == sorted(
        f'norm{stage}.{name}' for stage in (1, 2, 3, 4) for name in ('weight', 'bias')
    )
    assert torch.equal(model.norm2.weight, fresh)
    assert_holds(model, {k: v for k, v in weights.items() if k not in report.dropped})


def test_dense_to_classification_drops_the_stage_norms(ndim):
    weights = dense_weights(ndim)
    report = load_official(UniFormer(TINY, ndim), {'state_dict': weights})
    stage_norms = [key for key in weights if key.startswith('norm')]
    assert len(stage_norms) == 8
    assert sorted(report.dropped) == sorted(stage_norms)
    assert sorted(report.new) == sorted(f'norm.{name}' for name in BATCH_NORM[:4])


def test_norms_of_outputs_not_asked_for_are_dropped():
    weights = dense_weights()
    model = UniFormer(TINY, out_norm='layer')  # as the pose models: the last map only
    report = load_official(model, prefixed(weights, 'backbone.'))
    dropped = [f'norm{s}.{name}' for s in (1, 2, 3) for name in ('weight', 'bias')]
    assert sorted(report.dropped) == sorted(dropped)
    assert report.new == []
    assert_holds(model, {k: v for k, v in weights.items() if k not in dropped})


@pytest.mark.parametrize(
    ('place', 'classes', 'names'),
    [
        ('head.fc', 10, 'mmpretrain'),
        ('cls_head.fc_cls', 10, 'mmaction'),
        ('head', 10, 'official'),
        ('head.fc', 7, 'mmpretrain'),
        ('cls_head.fc_cls', 7, 'mmaction'),
    ],
)
def test_linear_classifier_finds_its_place_unless_the_classes_differ(
    place, classes, names
):
    weights = random_weights()
    model = Classifier(place, classes)
    report = load_official(model, {'model': weights})
    state = model.state_dict()
    if classes == 10:
        assert (report.dropped, report.new) == ([], [])
        assert torch.equal(state[f'{place}.weight'], weights['head.weight'])
        assert torch.equal(state[f'{place}.bias'], weights['head.bias'])
    else:
        assert report.dropped == CLASSIFIER
        assert report.new == [f'{place}.weight', f'{place}.bias']
        assert state[f'{place}.weight'].shape == (7, 64)
    backbone = {k: v for k, v in weights.items() if k not in CLASSIFIER}
    assert_holds(model, backbone, 'backbone.')


def test_token_labeling_file_leaves_its_second_head():
    weights = random_weights()
    extra = {'aux_head.weight': torch.randn(10, 64), 'aux_head.bias': torch.randn(10)}
    file = {'state_dict': prefixed({**weights, **extra}, 'module.')}
    report = load_official(Classifier('head.fc'), file)
    assert report.dropped == list(extra)
    assert report.new == []


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
@pytest.mark.parametrize('conv_stem', [False, True], ids=['plain', 'conv_stem'])
def test_openmixup_names_are_translated(prefix, conv_stem):
    arch = {**TINY, 'conv_stem': conv_stem, 'layer_scale': 'all'}
    weights = random_weights(arch=arch, classes=0)
    renamed = to_openmixup(weights)
    assert 'blocks1.0.ffn.fc1.weight' in renamed
    model = UniFormer(arch)
    report = load_official(model, {'state_dict': prefixed(renamed, prefix)})
    assert (report.dropped, report.new) == ([], [])
    assert_holds(model, weights)


def test_openmixup_batch_norms_of_earlier_stages_are_not_our_layer_norms():
    weights = to_openmixup(random_weights())
    # 0-based: OpenMixup's norm1 stands after stage 2, and is BatchNorm.
    weights.update({f'norm1.{name}': torch.full((32,), 7.0) for name in BATCH_NORM[:4]})
    arch = {**TINY, 'embed_dims': (32, 32, 64, 64)}
    model = make(arch=arch, out_indices=(0, 3), out_norm='layer')
    same_width = to_openmixup(random_weights(arch=arch))
    same_width.update({k: v for k, v in weights.items() if k.startswith('norm1.')})
    report = load_official(model, same_width)
    assert 'norm1.weight' in report.new
    assert not (model.norm1.weight == 7).any()


def test_mmaction_file_loads_into_a_recogniser(ndim):
    weights = random_weights(ndim, classes=0)
    head = {'fc_cls.weight': torch.randn(10, 64), 'fc_cls.bias': torch.randn(10)}
    file = {**prefixed(weights, 'backbone.'), **prefixed(head, 'cls_head.')}
    model = Classifier('cls_head.fc_cls', ndim=ndim)
    report = load_official(model, {'state_dict': file})
    assert (report.dropped, report.new) == ([], [])
    assert_holds(model, head, 'cls_head.')


def test_window_and_hybrid_take_the_file_of_a_global_model(ndim):
    model, x = make_dense(ndim, attention='global'), make_input(ndim)
    hybrid = make_dense(ndim, attention='hybrid', hybrid_period=1)
    report = load_official(hybrid, model.state_dict())
    assert report.new == []
    assert_same(hybrid(x), model(x), 0.0)


def test_old_file_without_batch_counters_is_complete():
    weights = random_weights(classes=0)
    old = {k: v for k, v in weights.items() if not k.endswith('num_batches_tracked')}
    report = load_official(UniFormer(TINY), old)
    assert (report.dropped, report.new) == ([], [])


def test_half_precision_file_is_taken_in_the_precision_of_the_model():
    weights = random_weights(classes=0)
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    model = UniFormer(TINY)
    load_official(model, half)
    assert model.norm.weight.dtype == torch.float32
    assert torch.equal(model.norm.weight, half['norm.weight'].float())


def test_file_is_not_changed_and_not_shared():
    weights = random_weights()
    before = {key: value.clone() for key, value in weights.items()}
    model = UniFormer(TINY)
    load_official(model, weights)
    with torch.no_grad():
        model.norm.weight.zero_()
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[key], before[key]) for key in before)


def test_report_says_in_one_line_what_happened(monkeypatch):
    lines = []
    monkeypatch.setattr(official, 'print_log', lambda text, **_: lines.append(text))
    report = load_official(make_dense(3), random_weights(2))
    # Of the file, the BatchNorm's five entries and the head's two have no place.
    taken = len(random_weights(2)) - 7
    text = str(report)
    assert text.startswith(f'{taken} tensors taken ({len(report.inflated)} inflated); ')
    assert '7 dropped: norm (5), head (2)' in text
    assert '8 new: norm1 (2), norm2 (2), norm3 (2), norm4 (2)' in text
    assert lines == [f'checkpoint: {text}']


def test_report_of_a_perfect_fit_is_short():
    text = str(LoadReport(loaded=['a', 'b']))
    assert text == '2 tensors taken; 0 dropped; 0 new'
