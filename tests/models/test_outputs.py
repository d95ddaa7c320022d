"""What the backbone takes and gives."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.tiny import (
    RELATIONS,
    TINY,
    assert_same,
    input_gradient,
    make,
    make_dense,
    make_input,
)
from uniformer_backbones import UniFormer

WIDTHS = TINY['embed_dims']


def out_norms(model):
    """Names of the final norms that were built."""
    return [name for name, _ in model.named_children() if name.startswith('norm')]


@pytest.mark.parametrize(('ndim', 'attention'), RELATIONS)
def test_outputs_are_a_tuple_of_maps_with_the_strides_of_the_paper(ndim, attention):
    model = make_dense(ndim, attention=attention)
    outs = model(make_input(ndim, size=(5, 96, 128)[3 - ndim :]))
    assert type(outs) is tuple
    time = (3,) if ndim == 3 else ()  # (T + 1) // 2
    expected = [
        (2, width, *time, 96 // stride, 128 // stride)
        for width, stride in zip(WIDTHS, (4, 8, 16, 32), strict=True)
    ]
    assert [tuple(out.shape) for out in outs] == expected
    memory = torch.channels_last if ndim == 2 else torch.channels_last_3d
    assert all(out.is_contiguous(memory_format=memory) for out in outs)


@pytest.mark.parametrize('size', [(32, 32), (33, 63), (37, 32), (75, 101), (64, 39)])
@pytest.mark.parametrize('conv_stem', [False, True], ids=['plain', 'conv_stem'])
@pytest.mark.parametrize('attention', ['global', 'window'])
def test_any_size_from_32_works(ndim, size, conv_stem, attention):
    model = make_dense(ndim, {**TINY, 'conv_stem': conv_stem}, attention=attention)
    outs = model(make_input(ndim, 1, (*(3,) * (ndim - 2), *size)))
    sides, stem = list(size), conv_stem
    for stage, out in enumerate(outs):
        for _ in range(2 if stage == 0 else 1):  # two halvings before stage 1
            # Plain embeddings round down, 4 = 2 x 2 in stage 1; a stem rounds up.
            sides = [(side + 1) // 2 if stem else side // 2 for side in sides]
        assert list(out.shape[-2:]) == sides
        assert out.isfinite().all()


@pytest.mark.parametrize('frames', [1, 2, 7])
def test_any_number_of_frames_works(frames):
    out = make(3)(make_input(3, 1, (frames, 32, 64)))[0]
    assert tuple(out.shape) == (1, 64, (frames + 1) // 2, 1, 2)


def test_samples_do_not_see_each_other_in_eval_mode(ndim):
    model, x = make_dense(ndim, attention='hybrid'), make_input(ndim, 3)
    alone = [model(sample[None]) for sample in x]
    assert_same(model(x), tuple(torch.cat(outs) for outs in zip(*alone, strict=True)))


def test_channels_last_and_strided_inputs_give_the_same_result(ndim):
    model, x = make_dense(ndim), make_input(ndim)
    expected = model(x)
    memory = torch.channels_last if ndim == 2 else torch.channels_last_3d
    assert_same(model(x.contiguous(memory_format=memory)), expected)
    assert_same(model(x.repeat_interleave(2, -1)[..., ::2]), expected)
    # The model itself may be converted too, as MMEngine's users do in 2D.
    if ndim == 2:
        assert_same(model.to(memory_format=memory)(x), expected)


@pytest.mark.parametrize('indices', [(0,), (1, 3), (2,), [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize('out_norm', ['batch', 'layer', 'none'])
def test_only_the_norms_of_the_outputs_asked_for_are_built(ndim, indices, out_norm):
    model = make(ndim, out_indices=indices, out_norm=out_norm)
    expected = {
        'batch': ['norm'] if 3 in indices else [],
        'layer': [f'norm{index + 1}' for index in indices],
        'none': [],
    }[out_norm]
    assert out_norms(model) == expected
    raw = make(ndim, out_indices=(0, 1, 2, 3), out_norm='none')
    raw.load_state_dict(model.state_dict(), strict=False)
    x = make_input(ndim)
    outs, maps = model(x), raw(x)
    assert len(outs) == len(indices)
    for out, index in zip(outs, indices, strict=True):
        wanted = maps[index]  # what is normalised does not feed the next stage
        if out_norm == 'layer':
            norm = getattr(model, f'norm{index + 1}')
            wanted = F.layer_norm(
                wanted.movedim(1, -1), (WIDTHS[index],), norm.weight, norm.bias, 1e-6
            ).movedim(-1, 1)
        elif out_norm == 'batch' and index == 3:
            assert type(model.norm) is {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[ndim]
            wanted = model.norm(wanted)
        torch.testing.assert_close(out, wanted, rtol=1e-5, atol=1e-5)


def test_defaults_are_those_of_a_classifier():
    model = UniFormer(TINY)
    assert model.ndim == 2
    assert out_norms(model) == ['norm']
    assert model.norm.eps == 1e-5
    (out,) = model.eval()(make_input())
    assert tuple(out.shape) == (2, 64, 2, 3)


def test_gradient_reaches_the_input(ndim):
    gradient = input_gradient(make_dense(ndim), make_input(ndim))
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.9


def test_double_precision_agrees_with_single(ndim):
    model, x = make_dense(ndim, attention='hybrid'), make_input(ndim)
    single = model(x)
    double = model.double()(x.double())
    assert_same(tuple(out.double() for out in single), double, 1e-4)


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ((2, 3, 64), r'takes {layout} with C=3, got \(2, 3, 64\)'),
        ((3, 64, 64), r'takes {layout} with C=3, got \(3, 64, 64\)'),
        ((2, 4, 8, 64, 64), r'takes {layout} with C=3, got \(2, 4, 8, 64, 64\)'),
        ((2, 1, 64, 64), r'takes {layout} with C=3, got \(2, 1, 64, 64\)'),
    ],
)
def test_input_of_another_layout_is_refused_in_one_line(ndim, shape, message):
    layout = {2: r'\(B, C, H, W\)', 3: r'\(B, C, T, H, W\)'}[ndim]
    with pytest.raises(ValueError, match=message.format(layout=layout)) as caught:
        make(ndim)(torch.zeros(shape))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('wrong', [(4, 64, 64), (64, 64)])
def test_clip_for_images_and_image_for_clips_are_refused(ndim, wrong):
    if len(wrong) == ndim:
        wrong = (3,) * (5 - ndim) + (64, 64)
    with pytest.raises(ValueError, match=f'ndim={ndim}'):
        make(ndim)(torch.zeros(1, 3, *wrong))


@pytest.mark.parametrize(
    ('batch', 'size', 'message'),
    [
        (0, (64, 64), 'empty batch'),
        (1, (31, 64), 'height and width of at least 32 pixels, got .*31, 64'),
        (1, (64, 8), 'height and width of at least 32 pixels, got .*64, 8'),
        (1, (0, 64), 'height and width of at least 32 pixels, got .*0, 64'),
    ],
)
def test_empty_or_tiny_input_is_refused_in_one_line(ndim, batch, size, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(ndim)(torch.zeros(batch, 3, *(4,) * (ndim - 2), *size))
    assert '\n' not in str(caught.value)


def test_clip_without_frames_is_refused():
    with pytest.raises(ValueError, match=r'empty batch or clip: \(1, 3, 0, 64, 64\)'):
        make(3)(torch.zeros(1, 3, 0, 64, 64))
