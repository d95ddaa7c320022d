"""What ``import uniformer_backbones`` gives; adding a name is a decision."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import uniformer_backbones
from uniformer_backbones import UniFormer

ROOT = Path(__file__).parents[1]
NAMES = [
    'MODELS',
    'UniFormer',
    '__version__',
    'inflate_state_dict',
    'list_archs',
    'load_official',
]


def test_public_names_are_exactly_these():
    assert sorted(uniformer_backbones.__all__) == NAMES
    assert all(hasattr(uniformer_backbones, name) for name in NAMES)


@pytest.mark.parametrize(
    'name', [n for n in NAMES if n not in ('MODELS', '__version__')]
)
def test_public_names_are_documented_and_typed(name):
    thing = getattr(uniformer_backbones, name)
    assert len(inspect.getdoc(thing).splitlines()) > 0
    target = thing.__init__ if inspect.isclass(thing) else thing
    parameters = inspect.signature(target).parameters
    untyped = [p for p in parameters if p != 'self' and p not in target.__annotations__]
    assert untyped == []
    documented = inspect.getdoc(thing)
    assert all(f'{p}:' in documented for p in parameters if p != 'self')


def test_version_is_one_of_semantic_versioning():
    assert re.fullmatch(r'\d+\.\d+\.\d+', uniformer_backbones.__version__)


def test_readme_snippet_runs(tmp_path, monkeypatch):
    text = (ROOT / 'README.md').read_text()
    snippet = re.search(
        r'```python\n(from uniformer_backbones import .+?)```', text, re.S
    )
    monkeypatch.chdir(tmp_path)
    torch.save({'model': UniFormer('small').state_dict()}, 'uniformer_small_in1k.pth')
    names = {}
    exec(snippet[1], names)
    image, video = names['image'].eval(), names['video'].eval()
    assert isinstance(image(torch.randn(1, 3, 32, 32)), tuple)
    (out,) = video(torch.randn(1, 3, 2, 32, 32))
    assert tuple(out.shape) == (1, 512, 1, 1, 1)
    torch.testing.assert_close(
        video.patch_embed1.proj.weight.sum(2),
        torch.load('uniformer_small_in1k.pth')['model']['patch_embed1.proj.weight'],
    )


def test_import_is_quiet_and_brings_no_task_library():
    code = (
        'import sys, uniformer_backbones\n'
        "heavy = ('mmdet', 'mmseg', 'mmpose', 'mmaction', 'mmpretrain')\n"
        'print([name for name in heavy if name in sys.modules])\n'
    )
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ('[]\n', '')
