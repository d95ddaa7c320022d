"""The reference of the benchmark computes what ours does; the clockwork is right."""

import csv

import pytest
import torch
from torch import nn

from projects.common import benchmark
from projects.common.benchmark import Workload, build_pair, compare, kept_for_backward
from projects.common.errors import UserError
from projects.common.reference import Reference

CPU = torch.device('cpu')
TINY = {'depths': (1, 2, 4, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}
DENSE = {'out_indices': (0, 1, 2, 3), 'out_norm': 'layer', 'window_size': 3}
MODELS = {
    'image': ({}, (2, 3, 64, 96)),
    'clip': ({'ndim': 3}, (1, 3, 5, 64, 64)),
    'window': ({'attention': 'window', **DENSE}, (1, 3, 80, 96)),
    'hybrid': ({'attention': 'hybrid', **DENSE}, (1, 3, 80, 96)),
    'global': ({'attention': 'global', **DENSE}, (1, 3, 80, 96)),
}


def workload(name, train):
    model, shape = MODELS[name]
    return Workload(name, model, shape, shape, train)


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('train', [False, True])
def test_reference_equals_ours_with_the_same_weights(name, train):
    found = compare(workload(name, train), TINY, CPU, ('fp32', 'fp32'), False, 0)
    assert found.pairs == benchmark.MIN_PAIRS
    assert found.lowest <= found.ratio <= found.highest
    assert (found.kept_ours is not None) is train


def test_bf16_of_ours_is_timed_against_float32_of_the_reference():
    found = compare(workload('hybrid', True), TINY, CPU, ('bf16', 'fp32'), False, 0)
    assert found.kept_ours < found.kept_reference


def test_models_that_differ_are_not_timed(monkeypatch):
    monkeypatch.setattr(Reference, '_normalise', lambda self, x, index: 1.001 * x)
    with pytest.raises(UserError, match='image: ours and the reference differ by'):
        compare(workload('image', False), TINY, CPU, ('fp32', 'fp32'), False, 0)


def test_no_layer_can_hide_behind_a_zero_bias_or_plain_statistics():
    ours, reference = build_pair(TINY, workload('image', False), CPU, False)
    assert type(ours) is not type(reference)
    for name, value in ours.state_dict().items():
        if name.endswith(('bias', 'running_mean')):
            assert value.std() > 0.01, name
        if name.endswith('running_var'):
            assert value.min() >= 0.5
            assert value.std() > 0.1
        torch.testing.assert_close(value, reference.state_dict()[name])


def test_kept_memory_counts_each_storage_once_and_no_parameter():
    x = torch.zeros(1, 2**18)
    model = nn.Sequential(nn.Identity(), _Doubled())
    assert kept_for_backward(model, x) == 1.0  # one result of sigmoid, 2^18 floats
    linear = nn.Linear(2**9, 2**9)
    assert kept_for_backward(linear, torch.zeros(1, 2**9)) == 0


class _Doubled(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        y = torch.sigmoid(x + self.weight)
        return y.view(2, -1), y


def test_arch_with_a_conv_stem_has_no_reference():
    with pytest.raises(ValueError, match='has no conv stem'):
        Reference('small_plus')


def test_csv_name_tells_version_device_and_dtype(tmp_path):
    name = benchmark.csv_name(CPU, ('bf16', 'fp32'), False)
    version = torch.__version__.split('+')[0]
    assert name == f'benchmark-torch{version}-cpu-bf16-fp32.csv'
    assert benchmark.csv_name(CPU, ('fp32', 'fp32'), True).endswith('-fp32-quick.csv')
    result = benchmark.Result('a', '1x3', 1.23456, 2.0, 1.6, 1.5, 1.7, 3)
    benchmark.write_csv([result], tmp_path / 'new' / name)
    with open(tmp_path / 'new' / name) as file:
        (row,) = csv.DictReader(file)
    assert row['ours_ms'] == '1.2346'
    assert row['kept_ours'] == ''


def test_workloads_are_those_of_the_table():
    names = [load.name for load in benchmark.WORKLOADS]
    assert len(names) == len(set(names)) == 7
    assert {load.shape for load in benchmark.WORKLOADS} == {
        (1, 3, 16, 224, 224),
        (1, 3, 800, 1280),
        (1, 3, 512, 512),
        (8, 3, 224, 224),
    }
