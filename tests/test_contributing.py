"""CONTRIBUTING's recipes, followed to the letter in a copy of the project."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from projects.common.zoo import TASKS, check_rows, read_rows
from projects.common.zoo_tables import render

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / 'CONTRIBUTING.md').read_text()
RECIPES = dict(re.findall(r'^## Recipe: (.*?)\n(.*?)(?=^## )', TEXT, re.M | re.S))
STEP = re.compile(
    r'^(Add|Change|Run)(?: `(.*?)`)?:\n\n```(\w*)\n(.*?)^```', re.M | re.S
)
FOLDERS = ('uniformer_backbones', 'projects', 'configs', 'tools', 'tests')


@pytest.fixture
def copy(tmp_path):
    """The sources of the project, without what was built, trained or downloaded."""
    for name in FOLDERS:
        ignored = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for path in (*ROOT.glob('*.toml'), *ROOT.glob('*.py'), *ROOT.glob('*.md')):
        shutil.copy(path, tmp_path)
    return tmp_path


def apply_change(file, block):
    """Put the lines with a plus behind the line that stands before them."""
    lines = file.read_text().splitlines()
    at = None
    for line in block.splitlines():
        if line.startswith('+'):
            at += 1
            lines.insert(at, line[1:])
        else:
            assert lines.count(line[1:]) == 1, f'{file}: {line}'
            at = lines.index(line[1:])
    file.write_text('\n'.join(lines) + '\n')


def run(copy, words):
    # The copy's own package and projects, not those that are installed.
    environ = {**os.environ, 'PYTHONPATH': str(copy), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f'{words}\n{done.stdout}\n{done.stderr}'


def test_there_is_a_recipe_for_each_thing_to_add():
    assert set(RECIPES) == {'a variant', 'a task', 'a dataset', 'a recipe'}
    for text in RECIPES.values():
        kinds = [match[1] for match in STEP.finditer(text)]
        assert 'Add' in kinds
        assert kinds[-1] == 'Run'
        # No block that the test would pass over.
        assert len(kinds) == text.count('\n```\n') - text.count('\n\n```\n')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['a variant', 'a task', 'a dataset', 'a recipe'])
def test_a_recipe_works_as_it_is_written(name, copy):
    sources = []
    for kind, path, language, block in STEP.findall(RECIPES[name]):
        if kind == 'Add':
            assert language == 'python'
            file = copy / path
            assert not file.exists()
            file.parent.mkdir(exist_ok=True)
            file.write_text(block)
            sources.append(path)
        elif kind == 'Change':
            apply_change(copy / path, block)
            sources += [path] if path.endswith('.py') else []
        else:
            follow(copy, block)
    run(copy, ['-m', 'ruff', 'check', *sources])
    run(copy, ['-m', 'ruff', 'format', '--check', *sources])


def follow(copy, block):
    """Run the commands; of `make zoo` what needs no measuring of all other rows."""
    for line in block.splitlines():
        program, *words = shlex.split(line)
        if program == 'python':
            run(copy, words)
            continue
        assert (program, words) == ('make', ['zoo'])
        rows = read_rows(copy)
        assert check_rows(rows, copy) == []
        assert all(f'configs/{task}/' in render('summary', rows, {}) for task in TASKS)
