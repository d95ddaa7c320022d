"""Image weights in a model of clips."""

import pytest
import torch

from tests.fixtures import read
from tests.tiny import TINY, assert_same, make, make_dense, make_input
from tests.weights.files import assert_unchanged, random_weights, snapshot
from uniformer_backbones import UniFormer, inflate_state_dict, load_official
from uniformer_backbones.weights import inflate_kernel
from uniformer_backbones.weights.inflation import fits_inflated


def test_average_divides_the_kernel_among_the_frames():
    kernel = torch.randn(4, 3, 2, 2)
    inflated = inflate_kernel(kernel, 3)
    assert inflated.shape == (4, 3, 3, 2, 2)
    for frame in range(3):
        torch.testing.assert_close(inflated[:, :, frame], kernel / 3)


@pytest.mark.parametrize(('frames', 'middle'), [(1, 0), (2, 1), (3, 1), (5, 2)])
def test_center_puts_the_kernel_at_the_middle_frame(frames, middle):
    kernel = torch.randn(4, 3, 2, 2)
    inflated = inflate_kernel(kernel, frames, 'center')
    assert torch.equal(inflated[:, :, middle], kernel)
    assert torch.count_nonzero(inflated) == torch.count_nonzero(kernel)


@pytest.mark.parametrize('mode', ['average', 'center'])
def test_one_frame_is_the_kernel_itself(mode):
    kernel = torch.randn(4, 3, 2, 2)
    assert torch.equal(inflate_kernel(kernel, 1, mode)[:, :, 0], kernel)


@pytest.mark.parametrize('shape', [(3,), (3, 3), (2, 3, 3, 4, 4)])
def test_only_image_kernels_can_be_inflated(shape):
    with pytest.raises(ValueError, match='a 2D kernel has four axes, got'):
        inflate_kernel(torch.zeros(shape), 3)


def test_fit_is_the_time_axis_alone():
    assert fits_inflated(torch.Size([8, 3, 4, 4]), torch.Size([8, 3, 5, 4, 4]))
    assert not fits_inflated(torch.Size([8, 3, 4, 4]), torch.Size([8, 3, 4, 4]))
    assert not fits_inflated(torch.Size([8, 4, 4]), torch.Size([8, 3, 4, 4]))
    assert not fits_inflated(torch.Size([8, 3, 4, 4]), torch.Size([8, 3, 5, 4, 2]))
    assert not fits_inflated(torch.Size([9, 3, 4, 4]), torch.Size([8, 3, 5, 4, 4]))


@pytest.mark.parametrize('std', [False, True])
def test_inflated_keys_are_those_of_the_reference(std):
    case = read('inflate_small_2d_to_3d' + '_std' * std)
    weights = {k: torch.zeros(s) for k, s in case['source_state_dict'].items()}
    with torch.device('meta'):
        model = UniFormer('small', 3, temporal_overlap=std)
    inflated = inflate_state_dict(weights, model)
    changed = {k: list(v.shape) for k, v in inflated.items() if v.dim() == 5}
    assert changed == {spec['name']: spec['to_shape'] for spec in case['inflated']}
    assert len(changed) == 57  # architecture 10
    for key in weights.keys() - changed.keys():
        assert inflated[key] is weights[key]


@pytest.mark.parametrize('mode', ['average', 'center'])
def test_loading_inflates_as_the_function_does(mode):
    weights = random_weights(2, layer_scale='all')
    model = make(3, layer_scale='all')
    report = load_official(model, {'model': weights}, inflate=mode)
    inflated = inflate_state_dict(weights, model, mode)
    state = model.state_dict()
    for key in report.loaded + report.inflated:
        assert torch.equal(state[key], inflated[key]), key
    assert 'blocks1.0.gamma_1' in report.inflated
    assert sorted(report.dropped) == ['head.bias', 'head.weight']


def test_average_is_the_default():
    weights, model = random_weights(2), make(3)
    load_official(model, weights)
    kernel = model.patch_embed1.proj.weight
    torch.testing.assert_close(kernel[:, :, 0], weights['patch_embed1.proj.weight'] / 3)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            {'blocks1.0.attn.weight': (16, 1, 5, 5, 5)},
            r'blocks1\.0\.attn\.weight: is 3D already \(\(16, 1, 5, 5, 5\)\)',
        ),
        (
            {'blocks1.0.attn.weight': (16, 1, 3, 3)},
            r'blocks1\.0\.attn\.weight: \(16, 1, 3, 3\) does not inflate to \(16, 1, 5',
        ),
        (
            {'patch_embed2.proj.weight': (32, 16, 3, 2, 2)},
            r'patch_embed2\.proj\.weight: .* does not inflate to \(32, 16, 1, 2, 2\)',
        ),
    ],
)
def test_kernel_that_does_not_fit_is_refused_with_its_key(change, message):
    weights = random_weights(2)
    weights.update({key: torch.zeros(shape) for key, shape in change.items()})
    with pytest.raises(ValueError, match=message):
        inflate_state_dict(weights, make(3))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda w: {f'backbone.{k}': v for k, v in w.items()}, 'is not in the check'),
        (
            lambda w: {k: v for k, v in w.items() if 'blocks3.3.' not in k},
            'not in the c',
        ),
        (lambda w: {**w, 'blocks3.9.norm1.bias': torch.zeros(64)}, 'not in the model'),
        (lambda w: {**w, 'blocks3.0.norm1.bias': torch.zeros(65)}, 'does not inflate'),
    ],
    ids=['prefix', 'shallower', 'deeper', 'wider'],
)
def test_state_dict_of_another_arch_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        inflate_state_dict(change(random_weights(2)), make(3))


def test_half_precision_kernel_is_shared_among_the_frames_in_single_precision():
    weights = random_weights(2, classes=0)
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    model = make(3)
    load_official(model, half)
    kernel = half['blocks1.0.attn.weight'].float() / 5
    assert torch.equal(model.blocks1[0].attn.weight[:, :, 0], kernel)


def test_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="average, center, got 'centre'"):
        inflate_state_dict({}, make(3), 'centre')
    with pytest.raises(ValueError, match="average, center, got 'mean'"):
        inflate_kernel(torch.zeros(1, 1, 1, 1), 3, 'mean')


def test_file_with_one_wrong_kernel_leaves_the_model_unchanged():
    weights = random_weights(2)
    weights['blocks4.0.pos_embed.weight'] = torch.zeros(64, 1, 5, 5)
    model = make(3)
    before = snapshot(model)
    with pytest.raises(ValueError, match=r'blocks4\.0\.pos_embed\.weight is'):
        load_official(model, weights)
    assert_unchanged(model, before)


def still(image, frames):
    return image.unsqueeze(2).repeat(1, 1, frames, 1, 1)


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'attention': 'window'},
        {'attention': 'hybrid', 'layer_scale': 'all'},
        {'temporal_overlap': True},
        {'attention': 'divided'},
    ],
    ids=str,
)
@pytest.mark.parametrize('frames', [1, 4, 7])
def test_still_clip_equals_image_under_center_inflation(options, frames):
    # All outputs, at all frames. Convolutions see the middle frame only, also at the
    # ends of the clip. Attention sees T equal copies of every token, padded ones too:
    # a softmax over copies shares each weight and sums it again. The temporal branch
    # of divided attention starts silent. So the two agree up to rounding.
    clips_only = {'temporal_overlap', 'divided'}
    shared = {
        key: value for key, value in options.items() if not clips_only & {key, value}
    }
    dense = {'out_indices': (0, 1, 2, 3), 'out_norm': 'layer', 'window_size': 3}
    image, clip = make_dense(2, **shared), UniFormer(TINY, 3, **dense, **options).eval()
    load_official(clip, image.state_dict(), inflate='center')
    x = make_input(2)
    expected = tuple(still(out, (frames + 1) // 2) for out in image(x))
    assert_same(clip(still(x, frames)), expected, 1e-4)


@pytest.mark.parametrize('frames', [1, 4, 7])
def test_still_clip_equals_image_with_a_convolutional_stem(frames):
    arch = {**TINY, 'conv_stem': True}
    image, clip = make_dense(2, arch), make_dense(3, arch)
    load_official(clip, image.state_dict(), inflate='center')
    x = make_input(2)
    outs = image(x)
    got = clip(still(x, frames))
    assert_same(
        got, tuple(still(o, g.shape[2]) for o, g in zip(outs, got, strict=True)), 1e-4
    )


def test_average_inflation_is_exact_only_away_from_the_ends_of_a_clip():
    options = {'out_indices': (0,), 'out_norm': 'layer'}
    image, clip = make(2, **options), make(3, **options)
    load_official(clip, image.state_dict(), inflate='average')
    x = make_input(2)
    (out,), (expected,) = clip(still(x, 20)), image(x)
    gaps = [(out[:, :, t] - expected).abs().max().item() for t in range(10)]
    # Zero padding in time reaches frame 0 in the embedding (stride 2, one frame of
    # padding on the left), one more at either end in the position embedding, two more
    # in the local affinity: frames 0-3 and 7-9 of 10 differ.
    exact = [gap < 1e-5 for gap in gaps]
    assert exact == [False] * 4 + [True] * 3 + [False] * 3
