"""Hourglass models: nothing is left behind by a call, whatever surrounds it."""

import copy
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.export import Dim, export

from tests import parity
from tests.fixture_models import build
from tests.fixtures import NAMES, read
from tests.tiny import TINY, assert_same, make_dense, make_input
from uniformer_backbones import UniFormer, load_official

LIGHT = {**TINY, 'depths': (1, 1, 3, 2), 'conv_stem': True, 'keep_ratio': 0.5}
FIXTURES = [n for n in NAMES if '_light_' in n and read(n)['mode'] == 'eval']


def make_light(ndim=2, **options):
    options.setdefault('out_cls_token', True)
    return make_dense(ndim, LIGHT, **options)


def gradients(model, x):
    torch.manual_seed(3)
    model.zero_grad()
    sum(out.square().mean() for out in model(x)).backward()
    return {key: parameter.grad for key, parameter in model.named_parameters()}


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_outputs_are_four_maps_and_the_class_token(ndim):
    model, x = make_light(ndim), make_input(ndim)
    *maps, token = model(x)
    time = (2,) if ndim == 3 else ()
    sizes = [(2, dim, *time) for dim in (16, 32, 64, 64)]
    sides = [(16, 24), (8, 12), (4, 6), (2, 3)]
    assert [tuple(m.shape) for m in maps] == [
        a + b for a, b in zip(sizes, sides, strict=True)
    ]
    assert token.shape == (2, 64)
    assert_same(make_light_like(model, out_cls_token=False)(x), maps, 0.0)


def make_light_like(model, **options):
    twin = make_light(model.ndim, **options)
    twin.load_state_dict(model.state_dict())
    return twin


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'attention': 'window'}, "shrink tokens .* got 'window'"),
        ({'attention': 'hybrid'}, "shrink tokens .* got 'hybrid'"),
        ({'attention': 'divided', 'ndim': 3}, "shrink tokens .* got 'divided'"),
    ],
)
def test_hourglass_with_another_attention_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UniFormer(LIGHT, **arguments)


def test_class_token_of_an_arch_without_one_is_refused():
    with pytest.raises(ValueError, match='out_cls_token is for hourglass archs'):
        UniFormer('small', out_cls_token=True)


def test_stem_is_convolutional_in_stage_1_only(ndim):
    keys = make_light(ndim).state_dict()
    time = (3,) if ndim == 3 else ()
    assert keys['patch_embed1.proj.3.weight'].shape == (16, 8, *time, 3, 3)
    assert keys['patch_embed2.proj.weight'].shape[-2:] == (2, 2)


def test_every_parameter_learns_and_frozen_ones_do_not(ndim):
    model = make_light(ndim, out_cls_token=False).train()
    found = gradients(model, make_input(ndim))
    assert [key for key, grad in found.items() if grad is None] == []
    assert found['cls_token'].abs().sum() > 0
    for stages, frozen in ((2, []), (3, ['cls_token']), (4, ['cls_token'])):
        model = make_light(ndim, frozen_stages=stages).train()
        learns = {k for k, p in model.named_parameters() if p.requires_grad}
        assert not learns.intersection(frozen)
        assert ('cls_token' in learns) == (stages < 3)
        assert ('cls_upsample.weight' in learns) == (stages < 4)


@pytest.mark.parametrize(
    'size', [(32, 32), (32, 64), (33, 47), (64, 32), (75, 101), (96, 128)]
)
def test_any_size_works_and_a_sample_does_not_see_its_batch(ndim, size):
    size = (3, *size)[3 - ndim :]
    model, x = make_light(ndim), make_input(ndim, 3, size)
    whole = model(x)
    assert all(out.isfinite().all() for out in whole)
    single = [torch.cat(outs) for outs in zip(*map(model, x.split(1)), strict=True)]
    assert_same(single, whole, 1e-4)


def test_constant_image_whose_scores_tie_gives_the_same_every_time(ndim):
    model, x = make_light(ndim), torch.ones_like(make_input(ndim))
    expected = model(x)
    assert_same(model(x), expected, 0.0)
    first, second = (out.split(1) for out in (expected[-1], expected[-2]))
    assert_same(first[:1], first[1:])
    assert_same(second[:1], second[1:])


def test_calls_leave_nothing_behind(ndim):
    model, x, y = make_light(ndim), make_input(ndim), make_input(ndim, 1)
    before = set(vars(model)), copy.deepcopy(model.state_dict())
    expected = model(x)
    model(y)
    assert_same(model(x), expected, 0.0)
    assert set(vars(model)) == before[0]
    assert all(torch.equal(v, before[1][k]) for k, v in model.state_dict().items())


def test_two_threads_with_different_inputs_do_not_meet(ndim):
    model = make_light(ndim)
    inputs = [make_input(ndim, 2), make_input(ndim, 1)] * 8
    expected = [model(x) for x in inputs]
    with ThreadPoolExecutor(2) as pool:
        outs = list(pool.map(model, inputs))
    for ours, theirs in zip(outs, expected, strict=True):
        assert_same(ours, theirs)


def test_replicas_of_data_parallel_learn_in_threads(ndim):
    model, x = make_light(ndim, norm_eval=True).train(), make_input(ndim, 4)
    expected = gradients(model, x)
    twin = copy.deepcopy(model)
    twin.zero_grad()

    def step(part):
        with torch.enable_grad():
            return model_losses(twin, part, 4)

    with ThreadPoolExecutor(2) as pool:
        losses = list(pool.map(step, x.split(2)))
    sum(losses).backward()
    for key, parameter in twin.named_parameters():
        torch.testing.assert_close(
            parameter.grad, expected[key], rtol=1e-3, atol=1e-6, msg=key
        )


def model_losses(model, part, batch):
    """Share of a part of a batch in the loss of :func:`gradients`."""
    return sum(out.square().mean() for out in model(part)) * len(part) / batch


def test_backward_in_eval_mode_works(ndim):
    model, x = make_light(ndim), make_input(ndim).requires_grad_()
    sum(out.square().sum() for out in model(x)).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize('with_cp', [True, (0, 0, 2, 1)])
def test_checkpointing_changes_neither_gradients_nor_statistics(ndim, with_cp):
    plain = make_light(ndim, drop_path_rate=0.3, layer_scale='all').train()
    saving = make_light(
        ndim, drop_path_rate=0.3, layer_scale='all', with_cp=with_cp
    ).train()
    saving.load_state_dict(plain.state_dict())
    x = make_input(ndim)
    expected, found = gradients(plain, x), gradients(saving, x)
    for key, grad in found.items():
        torch.testing.assert_close(grad, expected[key], msg=key)
    for ours, theirs in zip(saving.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize('training', [False, True])
def test_model_compiles_without_graph_breaks(ndim, training):
    model, x = make_light(ndim, with_cp=training).train(training), make_input(ndim)
    other = copy.deepcopy(model)
    compiled = torch.compile(other, fullgraph=True, backend='aot_eager')
    assert_same(compiled(x), model(x), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('layer_scale', ['none', 'all'])
def test_exported_program_takes_any_batch_and_size(ndim, layer_scale):
    model = make_light(ndim, layer_scale=layer_scale)
    names = ['batch', None, 'frames', 'height', 'width']
    names = names if ndim == 3 else ['batch', None, 'height', 'width']
    least = {'batch': 1, 'frames': 3, 'height': 64, 'width': 64}
    shapes = {
        axis: Dim(name, min=least[name], max=1024)
        for axis, name in enumerate(names)
        if name
    }
    x = make_input(ndim, 2, (5, 70, 101)[3 - ndim :])
    program = export(model, (x,), dynamic_shapes={'x': shapes})
    for batch, size in ((1, (3, 64, 64)), (3, (8, 75, 128))):
        x = make_input(ndim, batch, size[3 - ndim :])
        assert_same(program.module()(x), model(x), 1e-4)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_runs_and_learns(ndim, dtype):
    model, x = make_light(ndim).train(), make_input(ndim)
    with torch.autocast('cpu', dtype):
        loss = sum(out.float().square().mean() for out in model(x))
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    outs = model.eval().to(dtype)(x.to(dtype))
    assert {out.dtype for out in outs} == {dtype}
    assert all(out.isfinite().all() for out in outs)


def test_image_weights_inflate_and_layer_scale_may_be_new():
    image, clip = make_light(2), make_light(3, layer_scale='all', layer_scale_init=0.1)
    with pytest.raises(ValueError, match='gamma_1 is not in the checkpoint'):
        load_official(clip, {'model': image.state_dict()})
    report = load_official(clip, {'model': image.state_dict()}, new_layer_scale=True)
    assert report.dropped == []
    assert report.new
    assert all('.gamma_' in key for key in report.new)
    torch.testing.assert_close(clip.cls_token, image.cls_token)


def worst(case, model, x):
    with torch.no_grad():
        outs = model(x)
    return max(
        parity.compare(out, spec, case['salt'])
        for out, spec in zip(outs, case['outputs'], strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize('name', FIXTURES)
def test_fixture_holds_compiled_in_channels_last_and_in_two_threads(name):
    case = read(name)
    model = build(case).eval()
    parity.load(case, model)
    x = parity.inputs(case)
    layout = torch.channels_last if x.dim() == 4 else torch.channels_last_3d
    assert worst(case, model, x.to(memory_format=layout)) < 1e-4
    assert worst(case, copy.deepcopy(model).to(memory_format=layout), x) < 1e-4
    compiled = torch.compile(model, backend='aot_eager', fullgraph=True)
    assert worst(case, compiled, x) < 1e-4
    others = [x, x.flip(-1), x, x[..., :64, :96]]
    with ThreadPoolExecutor(2) as pool:
        outs = pool.map(lambda other: worst_or_none(case, model, other, x), others)
    assert all(error is None or error < 1e-4 for error in outs)


def worst_or_none(case, model, other, x):
    if other is x:
        return worst(case, model, x)
    with torch.no_grad():
        model(other)
    return None


def recompute(model):
    model.backbone.checkpointed = model.backbone.arch.depths


def compile_model(model):
    model.compile(backend='aot_eager', fullgraph=True)


def to_channels_last(model):
    model.to(memory_format=torch.channels_last)
    model.register_forward_pre_hook(
        lambda _, args: args[0].contiguous(memory_format=torch.channels_last)
    )


@pytest.mark.slow
@pytest.mark.parametrize('change', [recompute, compile_model, to_channels_last])
def test_gradient_fixture_holds_however_the_step_is_run(monkeypatch, change):
    def build_changed(case):
        model = build(case)
        change(model)
        changed.append(model)
        return model

    changed = []
    monkeypatch.setattr(parity, 'build', build_changed)
    errors = dict(parity.run_train_grad(read('grad_cls_light_xxs_96')))
    assert changed
    assert max(errors.values()) < 1e-4
