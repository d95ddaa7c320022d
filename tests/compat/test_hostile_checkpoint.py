"""Files that want to run something are refused, and nothing runs."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader

import uniformer_backbones.compat as compat

compat.install()


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def save(path, content):
    torch.save(content, path)
    return path


def load_through_mmengine(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


@pytest.mark.parametrize(
    'attack',
    [
        lambda mark: Call(os.system, f'touch {mark}'),
        lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(exec, f"open({str(mark)!r}, 'w')"),
        lambda mark: Call(subprocess.check_call, ['touch', str(mark)]),
        lambda mark: Call(open, str(mark), 'w'),
        lambda mark: {'state_dict': {}, 'meta': {'deep': [Call(os.mkdir, str(mark))]}},
        lambda mark: Call(Config.fromstring, f"open({str(mark)!r}, 'w')", '.py'),
    ],
    ids=['os', 'eval', 'exec', 'subprocess', 'open', 'nested', 'config'],
)
def test_hostile_pickle_is_refused_and_not_run(tmp_path, attack):
    mark = tmp_path / 'executed'
    path = save(tmp_path / 'hostile.pth', attack(mark))
    for read in (compat.read_checkpoint, load_through_mmengine):
        with pytest.raises(ValueError, match=r'is refused, .* sandbox') as error:
            read(path)
        assert str(path) in str(error.value)
        assert '\n' not in str(error.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    ('owner', 'name'),
    [
        (HistoryBuffer, '__init__'),
        (HistoryBuffer, 'update'),
        (HistoryBuffer, '__subclasses__'),
        (HistoryBuffer, 'register_statistics'),
        (OneCycleParamScheduler, '__init__'),
        (ConfigDict, 'update'),
        (np.ndarray, 'tofile'),
        (torch.Tensor, '__class__'),
    ],
)
def test_getattr_reaches_nothing_but_the_statistics(tmp_path, owner, name):
    path = save(tmp_path / 'trick.pth', Call(getattr, owner, name))
    with pytest.raises(ValueError, match=f"is refused.*getattr of '{name}'"):
        compat.read_checkpoint(path)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)


def test_getattr_trick_that_returns_a_module_is_refused(tmp_path):
    # The published way out: method -> __globals__ -> __builtins__.
    trick = Call(getattr, HistoryBuffer.update, '__globals__')
    path = save(tmp_path / 'trick.pth', trick)
    with pytest.raises(ValueError, match='is refused'):
        compat.read_checkpoint(path)
    naive = (
        'import sys, torch\n'
        'from mmengine.logging import HistoryBuffer\n'
        'torch.serialization.add_safe_globals([getattr, HistoryBuffer])\n'
        "print('__builtins__' in torch.load(sys.argv[1], weights_only=True))\n"
    )
    # The file is a real attack: PyTorch's own advice would let it through.
    done = subprocess.run(
        [sys.executable, '-c', naive, str(path)], capture_output=True, text=True
    )
    assert done.stdout.strip() == 'True', done.stderr


@pytest.mark.parametrize(
    'content',
    [
        np.array([print], dtype=object),
        np.zeros(1, dtype=[('a', 'f8')]),
        np.array(['text']),
        Call(np.dtype, 'O'),
        Call(np.dtype, 'f8,O'),
    ],
    ids=['objects', 'record', 'text', 'dtype', 'dtypes'],
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, content):
    path = save(tmp_path / 'array.pth', {'meta': content})
    with pytest.raises(ValueError, match='is refused'):
        compat.read_checkpoint(path)


def test_file_cannot_replace_the_statistics_of_the_process(tmp_path):
    before = dict(HistoryBuffer._statistics_methods)
    buffer = HistoryBuffer([1.0, 3.0], [1, 1])
    buffer.__dict__['mean'] = torch.Size
    state = buffer.__getstate__()
    state['statistics_methods'] = {'mean': torch.Size, 'new': torch.Size}
    HistoryBuffer._statistics_methods = before  # __getstate__ shares the dictionary

    class Stored(HistoryBuffer):
        def __reduce__(self):
            return HistoryBuffer, (), state

    path = save(tmp_path / 'statistics.pth', {'log': Stored()})
    log = compat.read_checkpoint(path)['log']
    assert HistoryBuffer._statistics_methods == before
    assert log.mean() == log.statistics('mean') == 2.0
    assert 'mean' not in vars(log)


def test_download_is_read_as_data_only(tmp_path, monkeypatch):
    # A file already in the cache of torch.hub stands for the download.
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    cache = tmp_path / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    mark = tmp_path / 'executed'
    save(cache / 'bad.pth', Call(os.system, f'touch {mark}'))
    save(cache / 'good.pth', {'state_dict': {}, 'meta': {'cfg': 'text', 'epoch': 1}})
    with pytest.raises(ValueError, match=r'bad\.pth is refused'):
        CheckpointLoader.load_checkpoint('https://localhost/bad.pth')
    assert not mark.exists()
    good = CheckpointLoader.load_checkpoint('https://localhost/good.pth')
    assert good == {'state_dict': {}, 'meta': {'epoch': 1}}
    assert 'TORCH_FORCE_WEIGHTS_ONLY_LOAD' not in os.environ


def test_download_ignores_the_switch_that_turns_protection_off(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    cache = tmp_path / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    path = save(cache / 'bad.pth', Call(os.mkdir, str(tmp_path / 'executed')))
    for name in ('https://localhost/bad.pth', str(path)):
        with pytest.raises(ValueError, match='is refused'):
            CheckpointLoader.load_checkpoint(name)
    assert not (tmp_path / 'executed').exists()
    assert os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] == '1'
