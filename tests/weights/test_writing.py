"""Weights are written whole or not at all, and as tensors of their own."""

import pytest
import torch
from safetensors.torch import load_file

from tests.weights.files import assert_equal
from uniformer_backbones.weights import writing
from uniformer_backbones.weights.writing import write_weights


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_interrupted_writing_leaves_the_earlier_file(tmp_path, monkeypatch, suffix):
    target = tmp_path / f'x{suffix}'
    target.write_bytes(b'earlier')

    def fail(weights, partial, *_):
        partial.write_bytes(b'half')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', fail)
    monkeypatch.setattr(writing, 'save_file', fail)
    with pytest.raises(KeyboardInterrupt):
        write_weights(target, {'a': torch.ones(1)}, {})
    assert target.read_bytes() == b'earlier'
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


def test_views_of_one_storage_are_written_as_tensors_of_their_own(tmp_path):
    base = torch.arange(1000.0)
    views = {'a': base[:2], 'b': base[1:3]}
    for suffix in ('.pth', '.safetensors'):
        target = tmp_path / f'x{suffix}'
        write_weights(target, views, {'source': 'test'})
        assert target.stat().st_size < 3000
    assert_equal(load_file(tmp_path / 'x.safetensors'), views)
