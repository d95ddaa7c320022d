"""A UniFormer of milliseconds, its inputs, and weights that hide nothing."""

import torch

from uniformer_backbones import UniFormer

TINY = {'depths': (1, 1, 4, 1), 'embed_dims': (16, 32, 64, 64), 'head_dim': 16}
SIZES = {2: (64, 96), 3: (4, 64, 96)}
# One of each relation of stage 3, with the dimensions that it knows.
RELATIONS = [
    (2, 'global'),
    (2, 'window'),
    (2, 'hybrid'),
    (3, 'global'),
    (3, 'window'),
    (3, 'hybrid'),
    (3, 'divided'),
]


def make(ndim=2, arch=TINY, **arguments):
    """A tiny model in eval mode whose weights are all random."""
    arguments.setdefault('window_size', 3)
    return randomise(UniFormer(arch, ndim, **arguments)).eval()


def make_dense(ndim=2, arch=TINY, **arguments):
    """The same with the four outputs of the dense tasks."""
    return make(ndim, arch, out_indices=(0, 1, 2, 3), out_norm='layer', **arguments)


def make_input(ndim=2, batch=2, size=None, channels=3):
    return torch.randn(batch, channels, *(size or SIZES[ndim]))


def randomise(module):
    """Leave no weight, bias or running statistic at a 0 or 1 that would hide it."""
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if name.endswith('running_var'):
                tensor.uniform_(0.5, 1.5)
            elif tensor.is_floating_point() and tensor.dim() < 2:
                tensor.add_(0.2 * torch.randn_like(tensor))
            elif 'gamma' in name:
                tensor.uniform_(0.1, 1.0)
    return module


def assert_same(got, expected, tolerance=1e-5):
    """Compare tuples of maps."""
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def input_gradient(function, x, seed=0):
    """Gradient of a random projection of a function's outputs."""
    x = x.detach().clone().requires_grad_()
    outs = function(x)
    outs = outs if isinstance(outs, tuple) else (outs,)
    generator = torch.Generator().manual_seed(seed)
    loss = sum(
        (out * torch.randn(out.shape, generator=generator)).sum() for out in outs
    )
    return torch.autograd.grad(loss, x)[0]
