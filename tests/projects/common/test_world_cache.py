"""The demo world: reproducible pictures, exact labels, COCO's layout, a safe cache."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from projects.common.world import (
    DemoWorldError,
    Thing,
    cache,
    coco,
    demo_world,
    draw_scene,
    write_coco,
)
from projects.common.world.texture import draw_fill
from projects.common.world.thing import unit_outline

ROOT = Path(__file__).parents[3]
TINY = {'num_train': 4, 'num_val': 2, 'size': 80}


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / 'home'
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(folder))
    return folder


def load(world, split):
    return COCO(str(world / 'annotations' / f'instances_{split}2017.json'))


def run_python(code):
    return subprocess.Popen(
        [sys.executable, '-c', code],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stderr=subprocess.PIPE,
    )


def test_world_is_written_once_and_named_by_its_parameters(home):
    first = demo_world('coco', **TINY)
    stamp = (first / 'world.json').stat().st_mtime_ns
    assert demo_world('coco', **TINY) == first
    assert (first / 'world.json').stat().st_mtime_ns == stamp
    assert demo_world('coco', seed=0, **TINY) == first  # the default, said aloud
    assert demo_world('coco', seed=1, **TINY) != first
    assert {path.parent for path in home.iterdir()} == {home}
    assert len(list(home.iterdir())) == 2
    content = json.loads((first / 'world.json').read_text())
    assert content['params'] == {**TINY, 'seed': 0}


def test_generator_version_is_part_of_the_name(home, monkeypatch):
    before = cache.world_path('coco')
    monkeypatch.setattr(cache, 'WORLD_VERSION', 999)
    assert cache.world_path('coco') != before


def test_home_follows_the_environment(tmp_path, monkeypatch):
    tail = Path('uniformer_backbones', 'demo')
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'own'))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'xdg'))
    monkeypatch.setenv('HOME', str(tmp_path / 'user'))
    assert cache.cache_home() == tmp_path / 'own'
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', '')
    assert cache.cache_home() == tmp_path / 'xdg' / tail
    monkeypatch.setenv('XDG_CACHE_HOME', 'relative')
    assert cache.cache_home() == tmp_path / 'user' / '.cache' / tail


def test_killed_generation_leaves_nothing_that_looks_complete(home):
    code = (
        'import os, signal\n'
        'from projects.common.world import coco, demo_world\n'
        'write, left = coco.write_jpeg, [2]\n'
        'def crash(*args):\n'
        '    left[0] -= 1\n'
        '    write(*args) if left[0] else os.kill(os.getpid(), signal.SIGKILL)\n'
        'coco.write_jpeg = crash\n'
        f'demo_world("coco", **{TINY})\n'
    )
    process = run_python(code)
    process.communicate(timeout=60)
    assert process.returncode == -9
    drafts = list(home.iterdir())
    assert [draft.name[0] for draft in drafts] == ['.']
    os.utime(drafts[0], times=(time.time() - 2 * cache.STALE_SECONDS,) * 2)
    final = demo_world('coco', **TINY)
    assert len(load(final, 'train').imgs) == 4
    assert list(home.iterdir()) == [final]  # the stale draft is gone as well


def test_two_processes_may_generate_the_same_world_at_once(home):
    code = f'from projects.common.world import demo_world; demo_world("coco", **{TINY})'
    processes = [run_python(code) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert errors == [b'', b'']
    assert [process.returncode for process in processes] == [0, 0]
    assert list(home.iterdir()) == [cache.world_path('coco', **TINY)]


def test_second_to_finish_takes_the_world_of_the_first(home, monkeypatch):
    def be_late(root, *args, **kwargs):
        write_coco(root, **TINY)
        if root.name.startswith('.'):
            final = cache.world_path('coco', **TINY)
            write_coco(final, **TINY)
            (final / 'world.json').write_text('first')
        return root

    monkeypatch.setattr(cache, 'world_params', lambda kind, params: dict(params))
    monkeypatch.setattr(cache, 'WRITERS', {'coco': be_late})
    final = demo_world('coco', **TINY)
    assert (final / 'world.json').read_text() == 'first'
    assert list(home.iterdir()) == [final]


def test_full_disk_is_one_line_and_leaves_nothing(home, monkeypatch):
    def fail(path, image):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(coco, 'write_jpeg', fail)
    with pytest.raises(DemoWorldError, match='No space left on device') as info:
        demo_world('coco', **TINY)
    assert '\n' not in str(info.value)
    assert 'UNIFORMER_DEMO_HOME' in str(info.value)
    assert list(home.iterdir()) == []


def test_unwritable_home_is_one_line(tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'file' / 'home'))
    with pytest.raises(DemoWorldError, match='cannot write demo data') as info:
        demo_world('coco', **TINY)
    assert '\n' not in str(info.value)


def test_further_kinds_are_one_entry(home, monkeypatch):
    def write_note(root, text='hello', *, track=None):
        root.mkdir()
        (root / 'note.txt').write_text(text)
        return root

    monkeypatch.setattr(cache, 'WRITERS', {**cache.WRITERS, 'note': write_note})
    assert (demo_world('note', text='hi') / 'note.txt').read_text() == 'hi'
    assert demo_world('note').name.startswith('note-')


# Bad input ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: demo_world('cityscapes'), "unknown demo data 'cityscapes'"),
        (lambda: demo_world('coco', images=3), r"unknown parameters \['images'\]"),
        (lambda: demo_world('coco', num_train=0), 'counts must be >= 1'),
        (lambda: demo_world('coco', size=8), 'size must be .* >= 64'),
        (lambda: demo_world('coco', size=(192, 144)), 'size must be'),
        (lambda: draw_scene(0, 'dev', 0), "unknown split 'dev'"),
        (lambda: draw_scene(-1, 'train', 0), 'seed and index must be >= 0'),
        (lambda: Thing('cube', (0, 0), 1), "unknown category 'cube'"),
        (lambda: Thing('box', (0, 0), 0), 'radius must be positive'),
        (lambda: unit_outline('cube'), "unknown category 'cube'"),
        (lambda: draw_fill('fur', *np.zeros((2, 1, 1)), 1, 0), "unknown fill 'fur'"),
    ],
)
def test_bad_input_names_what_was_given(home, call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not home.exists() or list(home.iterdir()) == []
