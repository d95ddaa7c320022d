"""The house itself: set-up, metadata, sizes."""

import ast
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ('uniformer_backbones', 'projects', 'tools', 'configs', 'tests')
EXTRAS = {'cls', 'det', 'seg', 'pose', 'video', 'all', 'dev'}
Usage = namedtuple('Usage', 'total used free')


def load_tool(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bootstrap():
    return load_tool('bootstrap')


@pytest.fixture(scope='module')
def doctor():
    return load_tool('doctor')


@pytest.fixture(scope='module')
def metadata(tmp_path_factory):
    """What pip would read from setup.py."""
    base = tmp_path_factory.mktemp('egg')
    command = [sys.executable, 'setup.py', '-q', 'egg_info', '--egg-base', str(base)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return importlib.metadata.PathDistribution(next(base.glob('*.egg-info')))


def pins(*names):
    lines = []
    for name in names:
        text = (ROOT / 'requirements' / f'{name}.txt').read_text()
        lines += [line.split('#')[0].strip() for line in text.splitlines()]
    return [line for line in lines if line]


def one_error(capsys):
    """The only line on stderr."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith('error: ')
    return lines[0]


def fake_python(path, says):
    path.write_text(f'#!/bin/sh\necho {says}\n')
    path.chmod(0o755)
    return str(path)


# The bootstrap -------------------------------------------------------------------


def test_bootstrap_parses_on_old_pythons_and_imports_the_standard_library_only():
    source = (ROOT / 'tools' / 'bootstrap.py').read_text()
    tree = ast.parse(source, feature_version=(3, 6))
    names = [
        a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names
    ]
    assert set(names) <= sys.stdlib_module_names
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_wrong_python_gets_one_line_and_exit_2(bootstrap, tmp_path, capsys):
    named = fake_python(tmp_path / 'python', '3 12 1 /usr/bin/python3.12')
    assert bootstrap.main(['--venv', str(tmp_path / 'venv'), '--python', named]) == 2
    line = one_error(capsys)
    assert 'Python 3.11 is needed' in line
    assert 'is 3.12.1' in line
    assert 'make PYTHON=' in line
    assert not (tmp_path / 'venv').exists()


def test_python_that_does_not_run_gets_one_line(bootstrap, tmp_path, capsys):
    named = str(tmp_path / 'absent')
    assert bootstrap.main(['--venv', str(tmp_path / 'venv'), '--python', named]) == 2
    assert 'absent does not run' in one_error(capsys)


def test_python_without_venv_module_gets_one_line(bootstrap, tmp_path, capsys):
    named = fake_python(tmp_path / 'python', '3 11 2 /usr/bin/python3.11')
    assert bootstrap.main(['--venv', str(tmp_path / 'venv'), '--python', named]) == 2
    assert 'python3.11-venv' in one_error(capsys)


def test_full_disk_gets_one_line_and_exit_2(bootstrap, tmp_path, capsys, monkeypatch):
    usage = Usage(100e9, 99e9, 1e9)
    monkeypatch.setattr(bootstrap.shutil, 'disk_usage', lambda _: usage)
    monkeypatch.setattr(bootstrap, 'find_python', lambda _: sys.executable)
    assert bootstrap.main(['--venv', str(tmp_path / 'venv')]) == 2
    assert re.search(r'1\.0 GB free .* 7\.0 GB needed: .*make VENV=', one_error(capsys))
    assert not (tmp_path / 'venv').exists()


def test_small_temporary_disk_is_avoided(bootstrap, tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap.tempfile, 'gettempdir', lambda: '/small')
    monkeypatch.setattr(
        bootstrap.shutil,
        'disk_usage',
        lambda p: Usage(0, 0, 1e9 if p == '/small' else 9e9),
    )
    environ = {}
    bootstrap.check_space(str(tmp_path / 'venv'), environ)
    assert environ['TMPDIR'] == str(tmp_path / 'venv' / '.tmp')
    assert environ['PIP_NO_CACHE_DIR'] == '1'


def test_no_network_gets_one_line_and_the_next_run_goes_on(tmp_path):
    environ = {k: v for k, v in os.environ.items() if not k.startswith('PIP_')}
    # Port 9 of the loopback interface is closed: refused at once, no name to resolve.
    environ.update(PIP_INDEX_URL='http://127.0.0.1:9/simple', PIP_RETRIES='0')
    environ.update(PIP_CONFIG_FILE=os.devnull)
    command = [sys.executable, str(ROOT / 'tools' / 'bootstrap.py')]
    command += ['--python', sys.executable, '--venv', str(tmp_path / 'venv')]
    if load_tool('bootstrap').shutil.disk_usage(tmp_path).free < 8e9:
        pytest.skip('needs 8 GB of free disk to get as far as pip')
    for made in (True, False):
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
        assert done.returncode == 2
        lines = done.stderr.splitlines()
        assert len(lines) == 1, lines
        assert 'package index cannot be reached' in lines[0]
        assert 'bootstrap.log' in lines[0]
        assert ('[1/4]' in done.stdout) == made
        assert 'cut short' not in done.stdout


@pytest.mark.parametrize(
    ('text', 'part'),
    [
        (
            'ERROR: Could not install: [Errno 28] No space left on device',
            'disk is full',
        ),
        (
            'ERROR: Could not find a version that satisfies the requirement av==18.1.0 '
            '(from versions: 9.0, 10.0)',
            'av==18.1.0 is not on the package index',
        ),
        ('WARNING: Retrying (Retry(total=4, connect=None)) after', 'no network'),
        ('ERROR: Failed building wheel for chumpy', 'chumpy could not be built'),
        ('ERROR: first\nERROR: last', 'last'),
    ],
)
def test_what_pip_says_becomes_one_clear_line(bootstrap, text, part):
    line = bootstrap.explain(text)
    assert part in line
    assert '\n' not in line


def stub_install(bootstrap, monkeypatch, calls):
    """Replace the steps: a Python appears, nothing is downloaded."""

    def run(self, label, command):
        calls.append(label[:5])
        target = Path(self.python)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.exists() or target.symlink_to(sys.executable)

    monkeypatch.setattr(bootstrap.Environment, 'run', run)
    monkeypatch.setattr(bootstrap.Environment, 'doctor', lambda *_: '')
    monkeypatch.setattr(bootstrap, 'check_space', lambda *_: None)
    monkeypatch.setattr(bootstrap, 'find_python', lambda _: sys.executable)
    monkeypatch.setattr(bootstrap.Environment, 'usable', lambda _: True)


def test_second_run_does_nothing_and_a_torn_install_is_redone(
    bootstrap, tmp_path, monkeypatch, capsys
):
    calls, venv = [], tmp_path / 'venv'
    stub_install(bootstrap, monkeypatch, calls)
    everything = ['[1/4]', '[2/4]', '[3/4]', '[4/4]']
    assert bootstrap.main(['--venv', str(venv)]) == 0
    assert calls == everything
    assert bootstrap.main(['--venv', str(venv)]) == 0
    assert calls == everything
    (venv / '.bootstrap').write_text('a change of the requirement files\n')
    assert bootstrap.main(['--venv', str(venv)]) == 0
    assert calls[4:] == everything[1:]
    (venv / '.bootstrap').write_text('torn\n')
    (venv / 'half_a_package').touch()
    assert bootstrap.main(['--venv', str(venv)]) == 0
    assert calls[7:] == everything
    assert not (venv / 'half_a_package').exists()
    assert 'cut short' in capsys.readouterr().out


def test_foreign_environment_is_never_changed(bootstrap, tmp_path, monkeypatch, capsys):
    calls = []
    stub_install(bootstrap, monkeypatch, calls)
    monkeypatch.setattr(bootstrap.Environment, 'doctor', lambda *_: 'torch is another')
    (tmp_path / 'theirs').touch()
    assert bootstrap.main(['--venv', str(tmp_path)]) == 2
    assert 'was not made by this script' in one_error(capsys)
    assert not calls
    assert os.listdir(tmp_path) == ['theirs']


# The self-check ------------------------------------------------------------------


def test_doctor_tells_of_what_is_missing_or_too_new(doctor, monkeypatch):
    versions = {'mmcv': '2.2.0', 'mmengine': '0.10.7'}
    monkeypatch.setattr(doctor, 'version_of', versions.get)
    monkeypatch.setattr(doctor, 'import_errors', list)
    said = '\n'.join(doctor.complaints())
    for words in ('no OpenCV: pip install', 'mmcv 2.2.0', 'torch is missing'):
        assert words in said
    assert doctor.device() == 'none, torch is missing'
    versions.update({'mmcv': '2.1.0', 'torch': '2.4.0', 'opencv-python': '4.8.0'})
    assert doctor.complaints() == []


def test_doctor_expects_three_complaints_and_no_other(doctor):
    expected = (
        'mmengine 0.10.7 requires opencv-python, which is not installed.\n'
        'mmpose 1.3.2 requires chumpy, which is not installed.\n'
        'mmaction2 1.2.0 requires opencv-contrib-python, which is not installed.\n'
    )
    assert doctor.unexpected(expected) == []
    bad = [
        'mmdet 3.3.0 requires scipy, which is not installed.',
        'timm 1.0.31 requires chumpy, which is not installed.',
        'torchvision 0.29.1 has requirement torch==2.14.1, but you have torch 2.4.0.',
    ]
    assert doctor.unexpected(expected + '\n'.join(bad)) == bad


# The metadata --------------------------------------------------------------------


def test_versions_agree(metadata):
    init = (ROOT / 'uniformer_backbones' / '__init__.py').read_text()
    version = re.search(r"^__version__ = '(.+)'$", init, re.M)[1]
    assert metadata.version == version
    assert f'## [{version}]' in (ROOT / 'CHANGELOG.md').read_text()


def test_one_extra_per_task_and_nothing_that_clashes_or_cannot_build(metadata):
    assert set(metadata.metadata.get_all('Provides-Extra')) == EXTRAS
    for need in metadata.requires:
        assert not re.match(r'chumpy|opencv|mm[a-z]', need), need


def test_extras_name_only_what_the_pinned_set_holds(metadata):
    pinned = {pin.split('==')[0].replace('_', '-') for pin in pins('thirdparty', 'dev')}
    needed = {
        re.match(r'[\w-]+', need)[0].replace('_', '-') for need in metadata.requires
    }
    assert needed <= pinned


def test_base_requirements_are_lower_bounds(metadata):
    base = [need for need in metadata.requires if 'extra ==' not in need]
    assert 'torch>=2.4' in base
    assert all(re.fullmatch(r'[\w-]+(>=[\d.]+)?', need) for need in base), base


def test_every_pin_is_exact():
    for pin in pins('thirdparty', 'dev', 'openmmlab', 'optional'):
        assert re.fullmatch(r'[\w-]+==[\w.]+', pin), pin


# The sources ---------------------------------------------------------------------


def test_no_source_file_exceeds_300_lines():
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob('*.py')]
    assert files
    sizes = {str(p.relative_to(ROOT)): len(p.read_text().splitlines()) for p in files}
    assert {name: size for name, size in sizes.items() if size > 300} == {}
