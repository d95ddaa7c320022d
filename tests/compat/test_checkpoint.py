"""Checkpoints: ours load and resume, hostile or broken ones get one clear line."""

import struct
from pickle import UnpicklingError

import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader
from safetensors.torch import save_file

import uniformer_backbones.compat as compat
from uniformer_backbones.compat.checkpoint import drop_executable_text

compat.install()


def save(path, content):
    torch.save(content, path)
    return path


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


@pytest.mark.parametrize('shape', [(0,), (0, 3), (2, 0)])
def test_empty_array_is_read(tmp_path, shape):
    path = save(tmp_path / 'empty.pth', {'a': np.zeros(shape, np.int64)})
    read = compat.read_checkpoint(path)['a']
    assert (read.shape, read.dtype) == (shape, np.int64)


def save_pickle(path, raw):
    """Write a torch archive around a hand-made pickle."""
    writer = torch._C.PyTorchFileWriter(str(path))
    writer.write_record('data.pkl', raw, len(raw))
    writer.write_record('byteorder', b'little', 6)
    writer.write_end_of_file()


def load_through_mmengine(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


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


def test_types_that_another_library_took_away_are_read(tmp_path):
    """As ``safe_globals`` does on exit, which timm wraps its own loading in."""
    from argparse import Namespace

    path = save(tmp_path / 'deit.pth', {'model': {}, 'args': Namespace(lr=0.1)})
    allowed = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(UnpicklingError, match='Namespace'):
            torch.load(path, weights_only=True)
        assert compat.read_checkpoint(path)['args'] == Namespace(lr=0.1)
    finally:
        torch.serialization.add_safe_globals(allowed)


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


@pytest.mark.filterwarnings('ignore')
def test_torchscript_archive_is_no_checkpoint(tmp_path):
    path = tmp_path / 'script.pth'
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), str(path))
    with pytest.raises(ValueError, match='TorchScript'):
        compat.read_checkpoint(path)


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
