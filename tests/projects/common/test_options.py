"""Options that the tools share, and the weights that a run starts from."""

import pytest
from mmengine.config import Config

from projects.common.errors import UserError
from projects.common.options import (
    add_run_options,
    apply_init,
    base_parser,
    check_device,
)


def parse(*arguments):
    parser = base_parser(None, checkpoint=False)
    add_run_options(parser)
    return parser.parse_args(['config.py', *arguments])


def test_settings_are_read_as_mmengine_reads_them():
    read = parse('--cfg-options', 'a.b=1', 'c=[x,2]', 'd="(1,)"', '--steps', '3')
    assert read.cfg_options == {'a.b': 1, 'c': ['x', 2], 'd': (1,)}
    assert (read.steps, read.quick, parse('--quick').quick) == (3, None, 0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--cfg-options', 'norm_eval'), 'KEY=VALUE is needed'),
        (('--cfg-options', 'a=[1,(2]'), 'KEY=VALUE is needed'),
        (('--steps', '0'), 'above 0, got 0'),
        (('--quick', '-3'), 'above 0, got -3'),
        (('--quick', 'small'), 'above 0, got small'),
    ],
)
def test_wrong_values_are_usage_errors(capsys, arguments, message):
    with pytest.raises(SystemExit, match='2'):
        parse(*arguments)
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_device_that_is_not_there_is_named():
    check_device('cpu')
    with pytest.raises(UserError, match='--device warp: there is no such device'):
        check_device('warp')


def config(**init_cfg):
    backbone = {'type': 'uniformer_backbones.UniFormer', 'init_cfg': init_cfg or None}
    return Config({'model': {'backbone': backbone}})


def test_another_file_keeps_how_the_config_takes_its_own(tmp_path):
    path = tmp_path / 'own.pth'
    path.touch()
    settings = {'inflate': 'center', 'new_layer_scale': True}
    cfg = config(type='Pretrained', checkpoint='published.pth', **settings)
    apply_init(cfg, str(path), demo=False)
    expected = {'type': 'Pretrained', 'checkpoint': str(path), **settings}
    assert cfg.model.backbone.init_cfg == expected
    cfg = config(type='TruncNormal', layer='Linear')
    apply_init(cfg, str(path), demo=False)
    assert cfg.model.backbone.init_cfg == {
        'type': 'Pretrained',
        'checkpoint': str(path),
    }


def test_resumed_run_is_not_asked_for_a_file_and_keeps_its_config():
    cfg = config(type='Pretrained', checkpoint='published.pth')
    with pytest.raises(UserError, match=r'published.pth: missing'):
        apply_init(cfg, None, demo=False)
    cfg.resume = True
    apply_init(cfg, None, demo=False)
    assert cfg.model.backbone.init_cfg.checkpoint == 'published.pth'
