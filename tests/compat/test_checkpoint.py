"""Checkpoints: ours load and resume, hostile or broken ones get one clear line."""

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

import uniformer_backbones.compat as compat
from uniformer_backbones.compat.checkpoint import drop_executable_text

compat.install()


def save(path, content):
    torch.save(content, path)
    return path


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


@pytest.mark.parametrize('core', ['numpy.core', 'numpy._core'])
def test_files_of_either_numpy_are_read(tmp_path, core):
    # Protocol 2 opcodes by hand, as each numpy would name its module.
    module = f'{core}.multiarray'.encode()
    dtype = b'cnumpy\ndtype\n(U\x02f8K\x00K\x01tR'
    dtype += b'(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb'
    one = struct.pack('<d', 1.0).decode('latin1').encode()
    data = (
        b'c_codecs\nencode\n(X' + struct.pack('<I', len(one)) + one + b'U\x06latin1tR'
    )
    scalar = b'c' + module + b'\nscalar\n(' + dtype + data + b'tR'
    array = b'c' + module + b'\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR'
    array += b'(K\x01(K\x01t' + dtype + b'\x89' + data + b'tb'
    raw = (
        b'\x80\x02}(X\x01\x00\x00\x00s' + scalar + b'X\x01\x00\x00\x00a' + array + b'u.'
    )
    path = tmp_path / 'numbers.pth'
    save_pickle(path, raw)
    content = compat.read_checkpoint(path)
    assert content['s'] == 1.0
    np.testing.assert_array_equal(content['a'], [1.0])


def save_pickle(path, raw):
    """Write a torch archive around a hand-made pickle."""
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record('data.pkl', raw, len(raw))
    writer.write_record('byteorder', b'little', 6)
    writer.write_end_of_file()


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


def load_through_mmengine(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


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


def test_executable_text_is_all_that_is_dropped():
    content = {
        'meta': {'config': 'x', 'cfg': 'y', 'epoch': 3},
        'message_hub': {'runtime_info': {'cfg': 'z', 'iter': 5}},
    }
    assert drop_executable_text(content) == {
        'meta': {'epoch': 3},
        'message_hub': {'runtime_info': {'iter': 5}},
    }
    for odd in ({'meta': 'text'}, {'message_hub': None}, {'message_hub': {}}, {}):
        assert drop_executable_text(dict(odd)) == odd


def test_training_script_arguments_are_data(tmp_path):
    from argparse import Namespace

    content = {'model': {'w': torch.ones(1)}, 'args': Namespace(lr=0.1, device=None)}
    path = save(tmp_path / 'deit.pth', content)
    assert compat.read_checkpoint(path)['args'] == Namespace(lr=0.1, device=None)


def test_legacy_format_is_read(tmp_path):
    path = tmp_path / 'old.pth'
    content = {'state_dict': {'w': torch.arange(3.0)}}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    assert torch.equal(
        compat.read_checkpoint(path)['state_dict']['w'], torch.arange(3.0)
    )


@pytest.mark.parametrize(
    'location', ['cpu', None, torch.device('cpu'), {'cuda:0': 'cpu'}]
)
def test_safetensors_give_a_state_dict(tmp_path, location):
    path = tmp_path / 'weights.safetensors'
    save_file({'linear.weight': torch.ones(1, 1)}, path, metadata={'arch': 'small'})
    checkpoint = compat.read_checkpoint(path, location)
    assert torch.equal(checkpoint['state_dict']['linear.weight'], torch.ones(1, 1))
    assert checkpoint['meta'] == {'arch': 'small'}


@pytest.mark.parametrize(
    ('name', 'content', 'look'),
    [
        ('a.pth', b'', 'an empty file'),
        ('a.pth', b'<!DOCTYPE html><html>Sign in</html>', 'an HTML or XML page'),
        ('a.pth', b'\n\n  <html>', 'an HTML or XML page'),
        ('a.pth', b'version https://git-lfs.github.com/spec/v1', 'a Git LFS pointer'),
        ('a.pth', b'Not Found', 'a text file'),
        ('a.pth', b'{"message": "rate limit"}', 'a JSON text'),
        ('a.pth', b'\x1f\x8b\x08\x00rest', 'a gzip archive'),
        ('a.pth', b'\x80\x02}q\x00', 'a pickle that is truncated'),
        ('a.pth', bytes(range(129, 256)), 'unknown or damaged data'),
        ('a.safetensors', b'', 'an empty file'),
        ('a.safetensors', b'<html>Sign in to see this page</html>', 'an HTML or XML'),
    ],
)
def test_file_that_is_no_checkpoint_says_what_it_is(tmp_path, name, content, look):
    path = tmp_path / name
    path.write_bytes(content)
    for read in (compat.read_checkpoint, load_through_mmengine):
        with pytest.raises(ValueError, match=look) as error:
            read(path)
        assert str(path) in str(error.value)
        assert '\n' not in str(error.value)


@pytest.mark.parametrize('share', [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize('suffix', ['.pth', '.legacy.pth', '.safetensors'])
def test_truncated_file_is_named(tmp_path, suffix, share):
    path = tmp_path / f'cut{suffix}'
    tensors = {'w': torch.ones(1000)}
    if suffix == '.safetensors':
        save_file(tensors, path)
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=suffix == '.pth')
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match='is not a readable checkpoint') as error:
        compat.read_checkpoint(path)
    assert '\n' not in str(error.value)


def test_missing_file_and_folder_are_named(tmp_path):
    for read in (compat.read_checkpoint, load_through_mmengine):
        with pytest.raises(FileNotFoundError, match=r'gone\.pth does not exist'):
            read(tmp_path / 'gone.pth')
        with pytest.raises(FileNotFoundError, match='is a folder'):
            read(tmp_path)


@pytest.mark.parametrize('content', [torch.ones(1), [1, 2], 'text', None])
def test_content_that_is_no_dictionary_is_refused(tmp_path, content):
    path = save(tmp_path / 'other.pth', content)
    with pytest.raises(ValueError, match='not the dictionary of a checkpoint'):
        compat.read_checkpoint(path)


def test_torchscript_archive_is_no_checkpoint(tmp_path):
    path = tmp_path / 'script.pth'
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))
    with pytest.raises(ValueError, match='TorchScript'):
        compat.read_checkpoint(path)


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


def test_installing_twice_changes_nothing():
    compat.install()
    allowed = set(torch.serialization.get_safe_globals())
    schemes = dict(CheckpointLoader._schemes)
    compat.install()
    assert set(torch.serialization.get_safe_globals()) == allowed
    assert dict(CheckpointLoader._schemes) == schemes
    # A wrapper keeps the name that mmengine cuts the log line from.
    assert schemes['https://'].__name__ == 'load_from_http'


def test_schemes_registered_by_others_are_left_alone():
    def load_from_shelf(filename, map_location=None):
        return {}

    CheckpointLoader.register_scheme('shelf://', load_from_shelf)
    try:
        compat.install()
        assert CheckpointLoader._schemes['shelf://'] is load_from_shelf
    finally:
        del CheckpointLoader._schemes['shelf://']


def test_importing_compat_imports_no_task_library():
    code = (
        'import sys, uniformer_backbones.compat as c; c.install()\n'
        "heavy = ('mmdet', 'mmseg', 'mmpose', 'mmaction', 'mmpretrain', 'mmcv',\n"
        "         'torchvision', 'safetensors')\n"
        'print([name for name in heavy if name in sys.modules])\n'
    )
    # The parent package is left out: it may import more than compat.
    root = Path(compat.__file__).parents[2]
    code = (
        'import sys, types\n'
        "package = types.ModuleType('uniformer_backbones')\n"
        f'package.__path__ = [{str(root / "uniformer_backbones")!r}]\n'
        "sys.modules['uniformer_backbones'] = package\n"
    ) + code
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=root
    )
    assert done.stdout.strip() == '[]', done.stderr


def test_versions_are_those_the_allow_list_was_written_for():
    assert mmengine.__version__.startswith('0.10.')
