"""The model leaves Python: compiled, exported, copied, pickled."""

import copy
import io
import pickle

import pytest
import torch
from torch.export import Dim, export

from tests.tiny import RELATIONS, TINY, assert_same, make_dense, make_input
from uniformer_backbones import UniFormer

SHALLOW = {**TINY, 'depths': (1, 1, 2, 1)}
# What the tests of every run take; the other combinations are slow.
QUICK = [(2, 'hybrid', True)]
slow = pytest.mark.slow
COMPILED = [
    pytest.param(*case, marks=() if case in QUICK else slow)
    for case in [(*pair, training) for pair in RELATIONS for training in (False, True)]
]


def make_shallow(ndim, attention, **options):
    return make_dense(ndim, SHALLOW, attention=attention, hybrid_period=2, **options)


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(('ndim', 'attention', 'training'), COMPILED)
def test_model_compiles_without_graph_breaks(ndim, attention, training):
    model = make_shallow(ndim, attention, with_cp=training).train(training)
    other, x = copy.deepcopy(model), make_input(ndim)
    compiled = torch.compile(other, fullgraph=True, backend='aot_eager')
    expected, outs = model(x), compiled(x)
    assert_same(outs, expected)
    for result in (expected, outs):
        sum(out.square().sum() for out in result).backward()
    for ours, theirs in zip(other.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(other.buffers(), model.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_compiled_model_takes_other_sizes():
    model = make_shallow(2, 'global')
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend='eager')
    for size in ((64, 96), (75, 101)):
        x = make_input(2, 2, size)
        assert_same(compiled(x), model(x))


@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
def test_exported_program_gives_the_same_outputs(ndim, attention):
    model, x = make_shallow(ndim, attention), make_input(ndim)
    program = export(model, (x,))
    assert_same(program.module()(x), model(x))
    operators = {str(node.target) for node in program.graph.nodes}
    # A patch embedding is one convolution again, as other runtimes like it.
    assert f'aten.conv{ndim}d.default' in operators


@pytest.mark.parametrize(
    ('ndim', 'attention'), [(2, 'hybrid'), pytest.param(3, 'window', marks=slow)]
)
def test_exported_windows_take_any_batch(ndim, attention):
    model, x = make_shallow(ndim, attention), make_input(ndim)
    program = export(model, (x,), dynamic_shapes={'x': {0: Dim('batch')}})
    for batch in (1, 3):
        x = make_input(ndim, batch)
        assert_same(program.module()(x), model(x))


@pytest.mark.parametrize(
    ('ndim', 'attention'),
    [
        (2, 'global'),
        pytest.param(3, 'global', marks=slow),
        pytest.param(3, 'divided', marks=slow),
    ],
)
def test_exported_program_takes_any_batch_and_size(ndim, attention):
    model = make_shallow(ndim, attention)
    axes = ['batch', None, 'frames', 'height', 'width'][: ndim + 2]
    axes = ['batch', None, 'height', 'width'] if ndim == 2 else axes
    # From 64: with one token on a side, PyTorch would fix that side.
    least = {'batch': 1, 'frames': 3, 'height': 64, 'width': 64}
    shapes = {
        axis: Dim(name, min=least[name], max=1024)
        for axis, name in enumerate(axes)
        if name
    }
    x = make_input(ndim, 2, (5, 70, 101)[3 - ndim :])
    program = export(model, (x,), dynamic_shapes={'x': shapes})
    for batch, size in ((1, (3, 64, 64)), (3, (8, 75, 128))):
        x = make_input(ndim, batch, size[3 - ndim :])
        assert_same(program.module()(x), model(x))


@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
def test_deep_copy_and_pickle_keep_outputs_and_settings(ndim, attention):
    model = make_dense(
        ndim, attention=attention, frozen_stages=1, norm_eval=True, drop_path_rate=0.1
    )
    x = make_input(ndim)
    expected = model(x)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_same(twin(x), expected, 0.0)
        twin.train()
        assert not twin.patch_embed1.training
        assert not twin.blocks2[0].norm1.training
        with torch.no_grad():
            twin.blocks1[0].pos_embed.weight.zero_()
        assert_same(model(x), expected, 0.0)


def test_state_dict_of_the_model_survives_a_file(ndim):
    model, twin = (
        make_dense(ndim, layer_scale='all'),
        make_dense(ndim, layer_scale='all'),
    )
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    twin.load_state_dict(torch.load(file, weights_only=True), strict=True)
    x = make_input(ndim)
    assert_same(twin(x), model(x), 0.0)


def test_model_can_be_made_without_memory_first(ndim):
    with torch.device('meta'):
        model = UniFormer(TINY, ndim, drop_path_rate=0.1)
    assert all(parameter.is_meta for parameter in model.parameters())
    real = UniFormer(TINY, ndim)
    model.load_state_dict(real.state_dict(), assign=True)
    x = make_input(ndim)
    assert_same(model.eval()(x), real.eval()(x), 0.0)
