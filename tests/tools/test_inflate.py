"""The tool that turns an image checkpoint into one of clips."""

import hashlib

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.tools.test_mistakes import check
from tests.weights.files import assert_holds, prefixed
from uniformer_backbones import UniFormer, __version__, load_official
from uniformer_backbones.weights import inflate_kernel, inflated_file


@pytest.fixture(scope='module')
def weights():
    """An image classification file of the smallest arch, without its container."""
    torch.manual_seed(0)
    head = {'head.weight': torch.randn(10, 256), 'head.bias': torch.randn(10)}
    return {**UniFormer('tiny').state_dict(), **head}


@pytest.fixture
def source(weights, tmp_path):
    """The same as a released file."""
    path = tmp_path / 'uniformer_tiny_in1k.pth'
    torch.save({'model': weights}, path)
    return path


def expected(weights, mode):
    """What the file has to hold, by the rules of architecture 10."""
    with torch.device('meta'):
        target = UniFormer('tiny', 3).state_dict()
    return {
        key: inflate_kernel(tensor.float(), target[key].shape[2], mode)
        if target[key].dim() == 5
        else tensor
        for key, tensor in weights.items()
        if not key.startswith('head.')
    }


@pytest.mark.parametrize(('suffix', 'mode'), [('safetensors', 'center'), ('pth', None)])
def test_output_loads_as_any_published_file(call, source, weights, suffix, mode):
    target = source.with_name(f'clips.{suffix}')
    options = ('--mode', mode) if mode else ()
    code, said, _ = call('inflate', source, target, '--arch', 'tiny', *options)
    assert code == 0
    inflated = expected(weights, mode or 'average')
    by_config = UniFormer(
        'tiny', 3, init_cfg={'type': 'Pretrained', 'checkpoint': str(target)}
    )
    by_config.init_weights()
    assert_holds(by_config, inflated)
    model = UniFormer('tiny', 3)
    report = load_official(model, target)
    assert (report.inflated, report.dropped, report.new) == ([], [], [])
    assert_holds(model, inflated)
    # 4 embeddings, 18 position embeddings, and in each of 7 local blocks 5 other
    # kernels and 2 layer scales.
    assert f'inflated ({mode or "average"}) │ {4 + 18 + 7 * 5 + 7 * 2} ' in said
    assert 'head (2)' in said


def test_provenance_is_in_the_file(call, source):
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    words = {
        'source': 'uniformer_tiny_in1k.pth',
        'source_sha256': digest,
        'inflate': 'center',
        'arch': 'tiny',
        'temporal_overlap': 'True',
        'uniformer_backbones': __version__,
    }
    options = ('--arch', 'tiny', '--mode', 'center', '--temporal-overlap')
    safe, plain = source.with_name('a.safetensors'), source.with_name('a.pth')
    assert call('inflate', source, safe, *options)[0] == 0
    assert call('inflate', source, plain, *options)[0] == 0
    with safe_open(safe, 'pt') as file:
        assert file.metadata() == {'format': 'pt', **words}
    content = torch.load(plain, weights_only=True)
    assert content['meta'] == words
    assert content['state_dict']['patch_embed2.proj.weight'].shape[2] == 3
    assert load_file(safe).keys() == content['state_dict'].keys()
    assert not list(source.parent.glob('.*'))  # nothing half-written is left


def test_checkpoint_of_our_own_training_inflates_too(call, weights, tmp_path):
    source, target = tmp_path / 'epoch_3.pth', tmp_path / 'out.pth'
    ours = {k: v for k, v in weights.items() if not k.startswith('head.')}
    state = {**prefixed(ours, 'backbone.'), 'head.fc.weight': torch.zeros(7, 256)}
    meta = {'epoch': 3, 'experiment_name': 'classifier'}
    torch.save({'state_dict': state, 'meta': meta, 'optimizer': {}}, source)
    assert call('inflate', source, target, '--arch', 'tiny')[0] == 0
    assert_holds_file(target, expected(weights, 'average'))


def test_half_precision_file_is_inflated_in_single_precision(call, weights, tmp_path):
    source, target = tmp_path / 'half.safetensors', tmp_path / 'out.pth'
    half = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    save_file(half, source)
    assert call('inflate', source, target, '--arch', 'tiny')[0] == 0
    assert_holds_file(target, expected(half, 'average'))


def assert_holds_file(path, wanted):
    found = torch.load(path, weights_only=True)['state_dict']
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert torch.equal(found[key], value.to(found[key].dtype)), key
        assert found[key].dtype in (torch.float32, torch.int64)


def test_mistakes_are_one_line_and_write_nothing(call, source, weights, tmp_path):
    out = tmp_path / 'out.pth'

    def refuse(*words, source=source, target=out, arch='tiny', more=()):
        result = call('inflate', source, target, '--arch', arch, *more)
        check(result, *words)
        assert not out.exists()

    refuse('no.pth', 'does not exist', source=tmp_path / 'no.pth')
    refuse('out.bin', '.safetensors or .pth', target=tmp_path / 'out.bin')
    refuse('there is no folder', tmp_path / 'no', target=tmp_path / 'no/out.pth')
    refuse('is the source itself', target=source)
    refuse('unknown arch', 'medium', 'small', arch='medium')
    refuse(source, 'patch_embed1.proj.weight', 'widths 32,64,160,256', arch='small')
    refuse('gamma_1', 'layer_scale', more=('--layer-scale', 'none'))

    clips = tmp_path / 'clips.pth'
    torch.save(expected(weights, 'average'), clips)
    refuse(clips, 'patch_embed1.proj.weight: is 3D already', source=clips)
    refuse(clips, 'is 3D already', source=clips, arch='small')
    text = tmp_path / 'text.pth'
    text.write_text('<html>')
    refuse(text, source=text)


def test_debug_shows_the_traceback(call, tmp_path):
    with pytest.raises(FileNotFoundError):
        call('inflate', 'no.pth', tmp_path / 'out.pth', '--arch', 'tiny', '--debug')


# PyTorch turns an OSError into a RuntimeError of several lines.
@pytest.mark.parametrize('kind', [OSError, RuntimeError])
def test_interrupted_writing_leaves_the_earlier_file(source, monkeypatch, kind):
    target = source.with_name('out.pth')
    target.write_bytes(b'earlier')

    def fail(content, path):
        path.write_bytes(b'half')
        raise kind('no space left on device\nframe 0')

    monkeypatch.setattr(torch, 'save', fail)
    with pytest.raises(OSError, match='no space left on device'):
        inflated_file.inflate_file(source, target, 'tiny')
    assert target.read_bytes() == b'earlier'
    assert sorted(p.name for p in source.parent.iterdir()) == [
        'out.pth',
        'uniformer_tiny_in1k.pth',
    ]
