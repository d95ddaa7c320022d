"""Every parity fixture holds, and the command line keeps its word."""

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests import parity
from tests.fixture_models import build
from tests.fixtures import FOLDER, NAMES, read

ROOT = Path(__file__).parents[1]
QUICK = 'eps_cls_small_96'  # the smallest of its kind: seconds matter


@pytest.mark.parametrize('name', NAMES)
def test_fixture_holds(name):
    where, error = parity.run(FOLDER / f'{name}.json')
    assert error <= 1e-4, where


def test_fixtures_cover_every_task_and_mode():
    cases = [read(name) for name in NAMES]
    assert {case['task'] for case in cases} == set(parity.TASKS)
    assert {case['mode'] for case in cases} == set(parity.MODES)
    assert {case['weight_profile'] for case in cases} == {'default', 'small_signal'}


@pytest.fixture
def changed(tmp_path):
    """Write a fixture with some changes to a file of its own."""

    def write(name=QUICK, change=None, **fields):
        case = copy.deepcopy(read(name))
        case.update(fields)
        if change is not None:
            change(case)
        path = tmp_path / 'fixture.json'
        path.write_text(json.dumps(case))
        return path

    return write


def run_main(capsys, *arguments):
    code = parity.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if ' - INFO - ' not in line]
    return code, lines, err.splitlines()


@pytest.mark.slow
def test_command_prints_one_line_a_file_and_nothing_else():
    files = [FOLDER / f'{name}.json' for name in (QUICK, 'inflate_small_2d_to_3d')]
    command = [sys.executable, '-m', 'tests.parity', *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line, file in zip(lines, files, strict=True):
        assert line.startswith('ok ')
        assert f'{file.stem}  (largest: ' in line
        assert float(line.split()[1]) < 1e-4


def test_error_above_the_tolerance_exits_with_1(changed, capsys):
    def shift(case):
        case['outputs'][0]['values'][5] += 1e-3

    code, lines, _ = run_main(capsys, changed(change=shift))
    assert code == 1
    assert lines[0].startswith('ABOVE ')
    assert run_main(capsys, '--tolerance', '1', changed(change=shift))[0] == 0


@pytest.mark.parametrize(
    'spoil',
    [
        lambda case: case['outputs'][0].update(probe_dot=9.0),
        lambda case: case['outputs'][0].update(shape=[1, 999]),
        lambda case: case['outputs'][0]['values'].__setitem__(0, math.nan),
        lambda case: case['inputs'][0].update(scale=math.nan),
    ],
    ids=['checksum', 'shape', 'NaN expected', 'NaN computed'],
)
def test_wrong_checksum_shape_or_nan_exits_with_1(changed, capsys, spoil):
    assert run_main(capsys, changed(change=spoil))[0] == 1


@pytest.mark.parametrize(
    'spoil',
    [
        lambda case: case['gradients'][3].update(
            norm=case['gradients'][3]['norm'] * 1.1
        ),
        lambda case: case['gradients'][-1]['values'].__setitem__(2, math.nan),
        lambda case: case['buffers_after'][1]['values'].__setitem__(2, 5.0),
    ],
    ids=['norm', 'NaN', 'buffer'],
)
def test_wrong_gradient_or_buffer_exits_with_1(changed, capsys, spoil):
    assert run_main(capsys, changed('grad_cls_small_64', spoil))[0] == 1


@pytest.mark.parametrize(
    'spoil',
    [
        lambda case: case['inflated'].pop(),
        lambda case: case['dropped'].pop(),
        lambda case: case['inflated'][4].update(centre_square_sum=1.0),
        lambda case: case['missing_in_source'].append('blocks1.0.attn.bias'),
    ],
    ids=['inflated', 'dropped', 'sum', 'missing'],
)
def test_wrong_inflation_exits_with_1(changed, capsys, spoil):
    assert run_main(capsys, changed('inflate_small_2d_to_3d', spoil))[0] == 1


@pytest.mark.parametrize(
    'text', ['', '{', '[1, 2]', '{}', '"text"', '{"mode": "eval"}', '\x00']
)
def test_file_that_is_no_fixture_is_one_line_and_exits_with_2(tmp_path, capsys, text):
    path = tmp_path / 'bad[1].json'  # brackets, which a console could take for markup
    path.write_text(text)
    code, lines, errors = run_main(capsys, path)
    assert (code, lines, len(errors)) == (2, [], 1)
    assert 'bad[1].json: not a parity fixture' in errors[0]


def test_missing_file_and_folder_exit_with_2_and_the_others_still_run(tmp_path, capsys):
    good = FOLDER / f'{QUICK}.json'
    code, lines, errors = run_main(capsys, tmp_path / 'absent', tmp_path, good)
    assert (code, len(lines), len(errors)) == (2, 1, 2)
    assert lines[0].startswith('ok ')


@pytest.mark.parametrize(
    ('fields', 'part'),
    [
        ({'task': 'speech'}, "task 'speech' in mode 'eval' is not supported yet"),
        ({'mode': 'train_twice'}, "in mode 'train_twice' is not supported yet"),
    ],
)
def test_fixture_of_an_unknown_task_or_mode_is_refused(changed, capsys, fields, part):
    code, lines, errors = run_main(capsys, changed(**fields))
    assert (code, lines, len(errors)) == (2, [], 1)
    assert part in errors[0]


@pytest.mark.parametrize(
    ('spoil', 'part'),
    [
        (
            lambda c: c['arguments'].update(prune_ratio=[1]),
            "counterpart: ['prune_ratio']",
        ),
        (lambda c: c['arguments'].pop('head_dim'), 'head_dim'),
        (lambda c: c['arguments'].update(mlp_ratio=[4, 4, 3, 4]), 'differs between'),
        (lambda c: c['state_dict'].pop('blocks3.0.norm1.bias'), 'blocks3.0.norm1.bias'),
        (
            lambda c: c['state_dict'].update({'extra.bias': [3]}),
            "left over ['extra.bias']",
        ),
        (lambda c: c.pop('salt'), 'salt'),
        (lambda c: c['outputs'].append(c['outputs'][0]), 'ValueError'),
        (lambda c: c.update(weight_profile='loud'), 'loud'),
        (lambda c: c['inputs'][0].update(shape=[1, 3, 16, 16]), 'at least 32 pixels'),
    ],
)
def test_fixture_that_does_not_fit_is_one_line_and_exits_with_2(
    changed, capsys, spoil, part
):
    code, lines, errors = run_main(capsys, changed(change=spoil))
    assert (code, lines, len(errors)) == (2, [], 1)
    assert part in errors[0]


@pytest.mark.parametrize(
    'layout',
    [
        {'top_level_key': None, 'key_prefix': ''},
        {'top_level_key': 'state_dict', 'key_prefix': 'module.'},
        {'top_level_key': 'model_state', 'key_prefix': 'backbone.'},
        {'top_level_key': 'model_ema', 'key_prefix': 'module.'},
    ],
    ids=str,
)
def test_layout_of_the_file_does_not_matter(changed, layout):
    assert parity.run(changed(checkpoint_layout=layout))[1] <= 1e-4


@pytest.mark.parametrize(
    'extra',
    [
        {'mlp_ratio': [4, 4, 4, 4]},
        {'drop_path_rate': 0.1, 'num_classes': 1000, 'qk_scale': None},
        {'conv_stem': False, 'layer_scale': False, 'in_chans': 3},
    ],
    ids=str,
)
def test_arguments_at_their_defaults_change_nothing(changed, extra):
    path = changed(change=lambda case: case['arguments'].update(extra))
    assert parity.run(path)[1] <= 1e-4


def test_windows_win_over_hybrid(changed):
    # det_small_windows14 with both: the official code lets `windows` win.
    for word in ('windows', 'hybrid'):
        case = read('eps_det_small_hybrid14_96x128')
        arguments = {**case['arguments'], word: True, 'hybrid': True}
        model = build({**case, 'arguments': arguments})
        kinds = [type(block.attn).__name__ for block in model.blocks3]
        last = {'windows': 'WindowMHRA', 'hybrid': 'GlobalMHRA'}[word]
        assert kinds == (['WindowMHRA'] * 3 + [last]) * 2


def test_gradient_of_nothing_but_rounding_is_not_an_error():
    # A bias in front of BatchNorm: its true gradient is zero.
    spec = {'values': [1e-7], 'positions': [0], 'abs_max': 2e-7, 'norm': 3e-7}
    assert parity.gradient_error(torch.full((4,), -1e-7), spec, noise=1e-5) < 1e-4
    assert parity.gradient_error(torch.full((4,), -1e-7), spec, noise=0.0) > 1e-4
    assert parity.gradient_error(torch.full((4,), math.nan), spec, 1e-5) == math.inf
