"""Half precision, by autocast and by conversion."""

import pytest
import torch

from tests.tiny import RELATIONS, make_dense, make_input

HALVES = [torch.bfloat16, torch.float16]


def assert_near(outs, expected, dtype):
    """Errors of a few units in the last place, relative to the size of a map."""
    for out, wanted in zip(outs, expected, strict=True):
        assert out.isfinite().all()
        error = (out.float() - wanted).norm() / wanted.norm()
        assert error < 8 * torch.finfo(dtype).eps


@pytest.mark.parametrize('dtype', HALVES, ids=str)
@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
def test_autocast_stays_near_full_precision(ndim, attention, dtype):
    model, x = make_dense(ndim, attention=attention), make_input(ndim)
    expected = model(x)
    with torch.autocast('cpu', dtype):
        outs = model(x)
    assert_near(outs, expected, dtype)


@pytest.mark.parametrize('dtype', HALVES, ids=str)
@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
def test_converted_model_runs_and_stays_near_full_precision(ndim, attention, dtype):
    model, x = make_dense(ndim, attention=attention), make_input(ndim)
    expected = model(x)
    outs = model.to(dtype)(x.to(dtype))
    assert {out.dtype for out in outs} == {dtype}
    assert_near(outs, expected, dtype)


@pytest.mark.parametrize('method', ['half', 'bfloat16'])
def test_conversion_by_method_converts_everything(ndim, method):
    model = getattr(make_dense(ndim, layer_scale='all'), method)()
    dtype = getattr(torch, method)
    kept = {t.dtype for t in model.state_dict().values() if t.is_floating_point()}
    assert kept == {dtype}
    assert model(make_input(ndim).to(dtype))[0].dtype == dtype


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('attention', ['global', 'window'])
def test_training_under_autocast_gives_full_precision_gradients(
    ndim, attention, with_cp
):
    model = make_dense(ndim, attention=attention, with_cp=with_cp).train()
    with torch.autocast('cpu', torch.bfloat16):
        loss = sum(out.float().square().mean() for out in model(make_input(ndim)))
    loss.backward()
    for parameter in model.parameters():
        assert parameter.grad.dtype == torch.float32
        assert parameter.grad.isfinite().all()
