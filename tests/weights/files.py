"""Checkpoints as the released files hold them, in miniature."""

import torch

from tests.fixtures import read
from tests.tiny import TINY, make
from uniformer_backbones import UniFormer


def random_weights(ndim=2, classes=10, arch=TINY, **arguments):
    """A classification file: the backbone with its BatchNorm, and a linear head."""
    weights = make(ndim, arch, **arguments).state_dict()
    if classes:
        weights['head.weight'] = torch.randn(classes, weights['norm.bias'].numel())
        weights['head.bias'] = torch.randn(classes)
    return weights


def dense_weights(ndim=2, **arguments):
    """The backbone of a detection, segmentation or pose file: norm1 to norm4."""
    dense = {'out_indices': (0, 1, 2, 3), 'out_norm': 'layer'}
    return random_weights(ndim, classes=0, **dense, **arguments)


def prefixed(weights, prefix):
    return {prefix + key: value for key, value in weights.items()}


def to_openmixup(weights):
    """The same weights under OpenMixup's names (architecture 8.3)."""
    renamed = {}
    for key, value in weights.items():
        parts = key.split('.')
        if parts[0].startswith('patch_embed') and parts[1] == 'proj':
            parts[1] = 'projection'
        if parts[0].startswith('blocks'):
            local = parts[0] in ('blocks1', 'blocks2')
            kind = 'bn' if local else 'ln'
            names = {'mlp': 'ffn', 'norm1': f'{kind}1', 'norm2': f'{kind}2'}
            parts[2] = names.get(parts[2], parts[2])
        parts[:1] = {'norm': ['norm3'], 'head': ['head', 'fc']}.get(parts[0], parts[:1])
        renamed['.'.join(parts)] = value
    return renamed


class Classifier(torch.nn.Module):
    """A stand-in for a library's model: ``backbone`` and a head of its names."""

    def __init__(self, head, classes=10, ndim=2, **arguments):
        super().__init__()
        self.backbone = UniFormer(TINY, ndim, **arguments)
        inner = torch.nn.Linear(64, classes)
        owner, _, name = head.rpartition('.')
        if owner:
            self.add_module(owner, torch.nn.ModuleDict({name: inner}))
        else:
            self.add_module(name, inner)


def snapshot(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_unchanged(model, before):
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def assert_holds(model, weights, prefix=''):
    """Every one of ``weights`` that the model has a place for is in it."""
    state = model.state_dict()
    for key, value in weights.items():
        assert torch.equal(state[prefix + key], value), key


def save(path, weights, container='model'):
    torch.save({container: weights, 'epoch': 3}, path)
    return path


def fixture_weights(name, dtype=torch.float32):
    shapes = read(name)['state_dict']
    return {
        key: torch.zeros(shape, dtype=torch.long if key.endswith('tracked') else dtype)
        for key, shape in shapes.items()
    }


def openmixup_weights():
    """A whole classifier: the fixture is of its backbone."""
    weights = prefixed(fixture_weights('openmixup_tiny_224'), 'backbone.')
    weights['head.fc.weight'] = torch.zeros(1000, 256)
    weights['head.fc.bias'] = torch.zeros(1000)
    return weights


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, tensor in ours.items():
        assert torch.equal(tensor, theirs[key]), key
