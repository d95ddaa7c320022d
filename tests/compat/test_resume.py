"""Real checkpoints of mmengine resume, and no text stored in them is run."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.infer import BaseInferencer
from mmengine.logging import HistoryBuffer, MessageHub
from safetensors.torch import save_file

import uniformer_backbones.compat as compat
from tests.compat.tiny_run import SCHEDULERS, Regression, Triples, make_runner

compat.install()


@pytest.fixture
def trained(tmp_path):
    """A checkpoint of a real run."""
    make_runner(tmp_path, by_epoch=True, length=1).train()
    return tmp_path / 'epoch_1.pth'


def save(path, content):
    torch.save(content, path)
    return path


@pytest.mark.parametrize('by_epoch', [True, False], ids=['epochs', 'iterations'])
@pytest.mark.parametrize('scheduler', SCHEDULERS)
def test_resumed_run_ends_like_an_uninterrupted_one(tmp_path, by_epoch, scheduler):
    unit = 'epoch' if by_epoch else 'iter'
    whole, halves = tmp_path / 'whole', tmp_path / 'halves'
    make_runner(whole, by_epoch, 4, scheduler).train()
    make_runner(halves, by_epoch, 2, scheduler).train()
    runner = make_runner(halves, by_epoch, 4, scheduler, resume=True)
    runner.train()
    assert (runner.epoch, runner.iter) == ((4, 8) if by_epoch else (0, 4))
    expected = compat.read_checkpoint(whole / f'{unit}_4.pth')
    got = compat.read_checkpoint(halves / f'{unit}_4.pth')
    for part in ('state_dict', 'ema_state_dict'):
        for key, value in expected[part].items():
            assert torch.equal(value, got[part][key]), (part, key)
    rate = got['optimizer']['param_groups'][0]['lr']
    assert rate == expected['optimizer']['param_groups'][0]['lr']
    assert got['optimizer']['state'][0]['step'] == (8 if by_epoch else 4)
    ema = got['ema_state_dict']['module.linear.weight']
    assert not torch.equal(ema, got['state_dict']['linear.weight'])


def test_real_checkpoint_keeps_its_logs_and_metainfo(trained):
    checkpoint = compat.read_checkpoint(trained)
    log = checkpoint['message_hub']['log_scalars']['train/loss']
    assert type(log) is HistoryBuffer
    assert log.data[0].shape == (2,)
    assert log.mean() == pytest.approx(log.data[0].mean())
    meta = checkpoint['meta']['dataset_meta']
    assert meta['classes'] == ('cat', 'dog')
    assert type(meta['skeleton']) is ConfigDict
    assert meta['skeleton'].nested.color == 1
    np.testing.assert_array_equal(meta['sigmas'], np.float32([0.1, 0.2]))
    assert meta['palette'] == [3]
    # As Runner.resume compares them: no warning about other metainfo.
    assert pickle.dumps(meta) == pickle.dumps(Triples().metainfo)


def test_plain_torch_load_knows_the_types_too(trained):
    checkpoint = torch.load(trained, weights_only=True)
    assert checkpoint['meta']['epoch'] == 1


@pytest.mark.parametrize('key', ['config', 'cfg'])
def test_config_text_in_a_checkpoint_never_runs_on_resume(tmp_path, trained, key):
    mark = tmp_path / 'executed'
    text = f"found = __import__('os').mkdir({str(mark)!r})\n"
    Config.fromstring(text, file_format='.py')  # what would happen
    assert mark.exists()
    mark.rmdir()
    checkpoint = torch.load(trained, weights_only=True)
    checkpoint['meta'][key] = text
    checkpoint['message_hub']['runtime_info']['cfg'] = text
    path = save(tmp_path / 'text.pth', checkpoint)
    runner = make_runner(tmp_path / 'next', True, 2, load_from=str(path), resume=True)
    runner.train()
    assert runner.epoch == 2
    assert not mark.exists()
    # The run goes on with its own config, not with that of the file.
    assert 'answer' in runner.message_hub.get_info('cfg')


def test_inferencer_without_a_config_does_not_take_it_from_the_file(tmp_path, trained):
    mark = tmp_path / 'executed'
    checkpoint = torch.load(trained, weights_only=True)
    text = f"found = __import__('os').mkdir({str(mark)!r})\n"
    checkpoint['message_hub']['runtime_info']['cfg'] = text
    checkpoint['meta']['cfg'] = text
    path = save(tmp_path / 'text.pth', checkpoint)
    with pytest.raises(ValueError, match='Cannot find the config'):
        BaseInferencer._init_model(BaseInferencer, ConfigDict(), str(path), 'cpu')
    assert not mark.exists()


def test_runner_loads_safetensors_under_ema(tmp_path):
    path = tmp_path / 'weights.safetensors'
    weights = {key: value.clone() for key, value in Regression().state_dict().items()}
    weights['linear.weight'] = torch.full((1, 1), 7.0)
    save_file(weights, path)
    runner = make_runner(tmp_path, True, 1, load_from=str(path))
    runner.call_hook('before_run')
    runner.load_or_resume()
    assert runner.model.linear.weight.item() == 7.0


def test_message_hub_resumes_from_the_file(trained):
    hub = MessageHub('fresh')
    hub.load_state_dict(compat.read_checkpoint(trained)['message_hub'])
    assert hub.get_info('epoch') == 0
    assert hub.get_scalar('train/loss').current() > 0
