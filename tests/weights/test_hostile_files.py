"""Files that are broken or mean harm: refused in one line, in little memory.

Pickles that want to run something are in tests/compat/test_hostile_checkpoint.py.
"""

import io
import json
import os
import resource
import struct
import tarfile
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from tests.tiny import make
from tests.weights.files import assert_unchanged, random_weights, snapshot
from uniformer_backbones import UniFormer, load_official
from uniformer_backbones.weights.checks import check_plain
from uniformer_backbones.weights.conversion import convert_file

HUGE = 2**40  # what none of these files may make us allocate
HEADROOM = 256 * 2**20


@pytest.fixture(autouse=True)
def little_memory():
    """A quarter of a gigabyte above what the process has: more raises MemoryError."""
    with open('/proc/self/statm') as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + HEADROOM, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def archive(path, pickled, **records):
    """Write PyTorch's zip archive around a hand-made pickle."""
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, data in {'data.pkl': pickled, 'byteorder': b'little', **records}.items():
        writer.write_record(name, data, len(data))
    writer.write_end_of_file()


def packed_bytes():
    buffer = io.BytesIO()
    torch.save({'model': random_weights()}, buffer)
    return buffer.getvalue()


def repack(path, compression, size=None):
    """A checkpoint zipped anew, one of its tensors replaced by that many zeros."""
    with (
        zipfile.ZipFile(io.BytesIO(packed_bytes())) as old,
        zipfile.ZipFile(path, 'w', compression, compresslevel=1) as new,
    ):
        for entry in old.infolist():
            with new.open(entry.filename, 'w') as file:
                if size is None or not entry.filename.endswith('/data/7'):
                    file.write(old.read(entry))
                    continue
                for start in range(0, size, 2**20):
                    file.write(bytes(min(2**20, size - start)))


def zip_bomb(path):
    repack(path, zipfile.ZIP_DEFLATED, HEADROOM + 2**20)


def overlapping_zip(path):
    """Many directory entries on one and the same data."""
    with zipfile.ZipFile(path, 'w') as made:
        made.writestr('a/data.pkl', b'.')
        made.writestr('a/data/0', bytes(10**6))
        entry = made.infolist()[-1]
        made.filelist.extend([entry] * 2000)


def nested_zip(path):
    with zipfile.ZipFile(path, 'w') as outer:
        outer.writestr('uniformer_small_in1k.pth', packed_bytes())


def nested_tar(path):
    data = packed_bytes()
    with tarfile.open(path, 'w') as outer:
        entry = tarfile.TarInfo('uniformer_small_in1k.pth')
        entry.size = len(data)
        outer.addfile(entry, io.BytesIO(data))


def nested_pickle(path):
    archive(path, b'\x80\x02' + b']' * 200_000 + b'a' * 199_999 + b'.')


def long_record_claim(path):
    """A tensor of more numbers than its record holds."""
    repack(path, zipfile.ZIP_STORED, 4)


def filling_buffer(path):
    # bytearray(2 ** 40): PyTorch allows it, and it writes every byte.
    number = b'\x8a\x06' + HUGE.to_bytes(6, 'little')
    archive(path, b'\x80\x02cbuiltins\nbytearray\n' + number + b'\x85R.')


def header(path, data, length=None):
    length = len(data) if length is None else length
    path.write_bytes(struct.pack('<Q', length) + data)


def huge_shape(path):
    entry = {'dtype': 'F32', 'shape': [HUGE, HUGE], 'data_offsets': [0, 4]}
    header(path, json.dumps({'norm.weight': entry}).encode() + b'\0\0\0\0')


def overlapping_tensors(path):
    entry = {'dtype': 'F32', 'shape': [1], 'data_offsets': [0, 4]}
    text = json.dumps({'a': entry, 'b': entry}).encode()
    path.write_bytes(struct.pack('<Q', len(text)) + text + b'\0\0\0\0')


def quoted_header(path):
    text = b'{"' + b'x' * 2_000_000 + b'": "\n' + b'y' * 2_000_000 + b'"}'
    header(path, text)


def wrong_suffix(path):
    made = path.with_name('x.safetensors')
    save_file(random_weights(), made)
    os.replace(made, path)


def cut(path):
    data = packed_bytes()
    path.write_bytes(data[: len(data) // 2])


FILES = {
    'empty.pth': (lambda p: p.write_bytes(b''), 'an empty file'),
    'empty.safetensors': (lambda p: p.write_bytes(b''), 'an empty file'),
    'page.pth': (lambda p: p.write_text('<!DOCTYPE html>\n<html>'), 'an HTML or XML'),
    'page.safetensors': (lambda p: p.write_text('<html>' * 99), 'an HTML or XML page'),
    'cut.pth': (cut, 'a zip archive that is truncated'),
    'nested.zip.pth': (
        nested_zip,
        r'other files \(uniformer_small_in1k\.pth\): unpack',
    ),
    'nested.tar.pth': (nested_tar, 'is a tar archive: unpack it'),
    'nested_pickle.pth': (nested_pickle, 'holds a list, not the dictionary'),
    'bomb.pth': (zip_bomb, r'is a compressed archive of \d+ MiB in \d\.\d'),
    'overlap.pth': (overlapping_zip, r'is a compressed archive of \d+ MiB in 1\.\d'),
    'claim.pth': (long_record_claim, r'record size \(4 bytes\) does not match'),
    'buffer.pth': (filling_buffer, 'is refused, it wants bytearray'),
    'renamed.pth': (wrong_suffix, r'give it the suffix \.safetensors'),
    'renamed.safetensors': (lambda p: p.write_bytes(packed_bytes()), 'a zip archive'),
    'header.safetensors': (lambda p: header(p, b'{}', HUGE), 'header too large'),
    'long.safetensors': (lambda p: header(p, b'{', 90_000_000), 'invalid header'),
    'quoted.safetensors': (quoted_header, 'invalid JSON in header'),
    'shape.safetensors': (huge_shape, 'is not a readable checkpoint'),
    'overlap.safetensors': (overlapping_tensors, 'is not a readable checkpoint'),
}


@pytest.mark.parametrize('name', FILES)
def test_file_is_refused_in_one_line_and_the_model_stays(tmp_path, name):
    make_file, message = FILES[name]
    path = tmp_path / name
    make_file(path)
    model = make()
    before = snapshot(model)
    with pytest.raises(ValueError, match=message) as caught:
        load_official(model, path)
    text = str(caught.value)
    assert str(path) in text
    assert '\n' not in text
    assert len(text) < 600 + len(str(path))
    assert 'weights_only' not in text  # no advice to turn the protection off
    assert_unchanged(model, before)
    with pytest.raises(ValueError, match=message):
        convert_file(path, tmp_path / 'out.pth', head_dim=16)
    assert not (tmp_path / 'out.pth').exists()


def refuse_weights(tmp_path, weights, message):
    """Both ways of use name the file, in one line."""
    path = tmp_path / 'spoiled.pth'
    torch.save({'model': weights}, path)
    model = UniFormer(make().arch)
    before = snapshot(model)
    for use in (
        lambda: load_official(model, path),
        lambda: convert_file(path, tmp_path / 'out.pth', head_dim=16),
    ):
        with pytest.raises(ValueError, match=rf'spoiled\.pth: {message}') as caught:
            use()
        assert '\n' not in str(caught.value)
    assert_unchanged(model, before)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_no_numbers_are_refused_with_the_tensor(
    tmp_path, value, dtype
):
    weights = {
        key: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for key, tensor in random_weights().items()
    }
    weights['blocks2.0.conv1.bias'][3] = value
    refuse_weights(tmp_path, weights, r'blocks2\.0\.conv1\.bias holds NaN or infinite')


@pytest.mark.parametrize(
    'shape', [(16, 1, 5, 5), (10**6, 10**6)], ids=['right shape', 'huge shape']
)
def test_view_that_repeats_a_few_bytes_is_refused(tmp_path, shape):
    weights = random_weights()
    weights['blocks1.0.attn.weight'] = torch.zeros(1).expand(shape)
    refuse_weights(tmp_path, weights, r'blocks1\.0\.attn\.weight claims the shape')


@pytest.mark.parametrize('key', ['norm.weight', 'unknown.weight'])
def test_memory_that_was_never_written_is_refused(tmp_path, key):
    # What a pickle can ask for without storing it: far more than its file.
    file = tmp_path / 'small.pth'
    file.write_bytes(bytes(5000))
    check_plain({key: torch.empty(1000)}, file)
    with pytest.raises(ValueError, match=f'{key} claims the shape'):
        check_plain({key: torch.empty(2000)}, file)


KINDS = {
    'sparse': lambda: torch.eye(64).to_sparse(),
    'quantised': lambda: torch.quantize_per_tensor(torch.zeros(64), 1, 0, torch.qint8),
    'without data': lambda: torch.empty(10**9, 10**9, device='meta'),
}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('kind', KINDS)
def test_tensor_of_another_kind_is_refused(tmp_path, kind):
    weights = {**random_weights(), 'norm.weight': KINDS[kind]()}
    refuse_weights(tmp_path, weights, r'norm\.weight is no plain tensor')


def test_block_number_of_any_size_builds_no_model(tmp_path):
    for number in ('9999', '9' * 5000):
        weights = {**random_weights(), f'blocks3.{number}.x': torch.ones(1)}
        refuse_weights(tmp_path, weights, '')


@pytest.mark.parametrize('key', ['blocks1.0.pos_embed.weight', 'head.weight'])
@pytest.mark.parametrize('shape', [(), (0,), (3,), (2,) * 12], ids=str)
def test_odd_shapes_are_refused_or_left_but_never_a_crash(tmp_path, key, shape):
    path = tmp_path / 'odd.pth'
    torch.save({'model': {**random_weights(), key: torch.ones(shape)}}, path)
    if key == 'head.weight':
        assert key in load_official(make(), path).dropped
        return
    with pytest.raises(ValueError, match=r'blocks1\.0\.pos_embed\.weight is'):
        load_official(make(), path)


def test_keys_that_are_no_text_are_left_out(tmp_path):
    path = tmp_path / 'keys.pth'
    torch.save({1: 2, (3, 4): torch.ones(1), b'x': 5}, path)
    with pytest.raises(ValueError, match=r'keys\.pth: the checkpoint holds no weights'):
        load_official(make(), path)
