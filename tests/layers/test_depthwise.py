"""The depth-wise convolution of clips has PyTorch's values and gradients."""

import pytest
import torch
from torch import nn

from uniformer_backbones.layers import depthwise
from uniformer_backbones.layers.depthwise import DepthwiseConv3d, depthwise_conv


@pytest.mark.parametrize('side', [3, 5])
@pytest.mark.parametrize('size', [(4, 5, 6), (1, 1, 1), (2, 7, 3)])
def test_values_and_gradients_are_those_of_pytorch(side, size):
    ours = DepthwiseConv3d(6, side).double()
    plain = nn.Conv3d(6, 6, side, padding=side // 2, groups=6).double()
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, *size, 6, dtype=torch.double, requires_grad=True)
    y = ours(x)
    expected = plain(x.movedim(-1, 1)).movedim(1, -1)
    torch.testing.assert_close(y, expected)
    factor = torch.randn_like(y)
    for got, wanted in zip(
        torch.autograd.grad((y * factor).sum(), [x, *ours.parameters()]),
        torch.autograd.grad((expected * factor).sum(), [x, *plain.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted)


def test_gradients_can_be_differentiated_again():
    apply = depthwise._DepthwiseConv3d.apply
    x = torch.randn(1, 2, 3, 4, 3, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 1, 3, 5, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(apply, (x, weight, bias))
    assert torch.autograd.gradgradcheck(apply, (x, weight, bias))


@pytest.mark.parametrize('frozen', ['weight', 'bias'])
def test_frozen_parameters_get_no_gradient(frozen):
    module = DepthwiseConv3d(4, 3)
    getattr(module, frozen).requires_grad_(False)
    module(torch.randn(1, 2, 3, 3, 4, requires_grad=True)).sum().backward()
    for name, parameter in module.named_parameters():
        assert (parameter.grad is None) == (name == frozen)


def test_pytorchs_own_serves_where_it_is_fast(monkeypatch):
    def fail(*_):
        raise AssertionError

    monkeypatch.setattr(depthwise._DepthwiseConv3d, 'apply', fail)
    module = DepthwiseConv3d(4, 3)
    x = torch.randn(1, 2, 3, 3, 4)
    with torch.no_grad():
        module(x)
    with torch.autocast('cpu', torch.bfloat16):
        assert module(x).dtype == torch.bfloat16
    module.bfloat16()(x.bfloat16())
    with pytest.raises(AssertionError):
        module.float()(x)


def test_images_have_pytorchs_own():
    assert isinstance(depthwise_conv(4, 3, 2), nn.Conv2d)
    with pytest.raises(ValueError, match='ndim'):
        depthwise_conv(4, 3, 4)
