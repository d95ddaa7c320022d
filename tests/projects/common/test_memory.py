"""The counted peak is the arithmetic of the tensors, and attention maps show in it."""

import torch

from projects.common.memory import MIB, PeakMemory, materialised_attention, step_peak
from tests.tiny import make_dense
from uniformer_backbones.layers import relation


def test_peak_is_that_of_the_tensors_alive_at_once():
    known = torch.zeros(1000)
    with PeakMemory(known) as memory:
        view = known.view(10, 100).t()  # no memory of its own
        a = known + 1  # 4000 bytes
        b = a + 1  # 8000
        del a
        c = view.reshape(-1) + b  # a copy and the sum: 12000
        del b, c
    assert memory.peak == 12000
    assert memory.live == 0


def test_materialised_attention_is_the_same_attention_and_is_undone():
    fused = relation.scaled_dot_product
    query, key, value = torch.randn(3, 2, 4, 50, 8)
    expected = fused(query, key, value)
    with materialised_attention():
        assert relation.scaled_dot_product is not fused
        got = relation.scaled_dot_product(query, key, value)
    assert relation.scaled_dot_product is fused
    torch.testing.assert_close(got, expected)


def test_a_step_keeps_the_attention_maps_that_the_fused_kernel_does_not():
    model = make_dense().train()
    x = torch.randn(1, 3, 256, 256)

    def loss():
        return sum(out.square().mean() for out in model(x))

    fused = step_peak(model, loss, x)
    with materialised_attention():
        materialised = step_peak(model, loss, x)
    # Stage 3: 4 blocks, 4 heads, 256 tokens; float32. Of each block the softmax is
    # kept for the backward pass.
    assert materialised - fused > 0.9 * 4 * 4 * 256**2 * 4 / MIB
    assert all(p.grad is None for p in model.parameters())
