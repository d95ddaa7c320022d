"""One registered class, reached from every OpenMMLab scope."""

import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope

from tests.tiny import TINY
from uniformer_backbones import MODELS, UniFormer

ROOT = Path(__file__).parents[2]
SCOPES = ['mmdet', 'mmseg', 'mmpose', 'mmaction', 'mmpretrain']
CONFIG = {'type': 'uniformer_backbones.UniFormer', 'arch': TINY}

# With mmcv-lite and today's mmaction2 wheel a task library cannot be imported at all
# before our package. These two lines stand for a complete installation, as compiled
# mmcv and mmaction2 from source are, where nothing of ours has to come first.
COMPLETE = """
import sys, types
from importlib.machinery import ModuleSpec

def answer(name):
    if name.startswith('__'):
        raise AttributeError(name)
    return type(name, (), {})

for name in ('mmcv._ext', 'mmaction.models.localizers.drn.drn'):
    for part in {name, name.removesuffix('.drn')}:
        module = sys.modules[part] = types.ModuleType(part)
        module.__spec__, module.__path__ = ModuleSpec(part, None), []
        module.__dict__['__getattr__'] = answer
"""
BUILD = """
import sys
from mmengine.registry import MODELS, DefaultScope
scope, config = {scope!r}, {config!r}
with DefaultScope.overwrite_default_scope(scope):
    by_default_scope = MODELS.build(config)
library = __import__(scope + '.registry', fromlist=['MODELS'])
by_library = library.MODELS.build(config)
names = {{type(m).__module__ for m in (by_default_scope, by_library)}}
assert names == {{'uniformer_backbones.models.uniformer'}}, names
{more}
print('built')
"""
# MMAction2 has a UniFormer of its own: still there, never taken for ours.
MMACTION = """
theirs = library.MODELS.get('UniFormer')
assert theirs.__module__.startswith('mmaction.'), theirs
assert library.MODELS.get('mmaction.UniFormer') is theirs
assert library.MODELS.get('uniformer_backbones.UniFormer') is not theirs
"""


def run(code):
    command = [sys.executable, '-W', 'ignore', '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith('built')


def building(scope):
    more = MMACTION if scope == 'mmaction' else ''
    return BUILD.format(scope=scope, config=CONFIG, more=more)


def test_registered_once_in_a_child_of_the_root_registry():
    assert MODELS.scope == 'uniformer_backbones'
    assert MODELS.parent is ROOT_MODELS
    assert MODELS.get('UniFormer') is UniFormer
    assert ROOT_MODELS.get('uniformer_backbones.UniFormer') is UniFormer
    assert ROOT_MODELS.get('UniFormer') is None


@pytest.mark.parametrize('scope', ['mmengine', 'uniformer_backbones'])
def test_config_builds_the_model_in_a_light_scope(scope):
    config = Config({'model': {**CONFIG, 'ndim': 3, 'attention': 'divided'}})
    with DefaultScope.overwrite_default_scope(scope):
        model = ROOT_MODELS.build(config.model)
    assert type(model) is UniFormer
    assert model.ndim == 3


@pytest.mark.slow
def test_fresh_process_finds_the_model_by_its_name_alone():
    run(BUILD.format(scope='mmengine', config=CONFIG, more=''))


@pytest.mark.slow
@pytest.mark.parametrize('scope', SCOPES)
def test_scope_builds_the_model_after_one_import(scope):
    run('import uniformer_backbones\n' + building(scope))


@pytest.mark.slow
@pytest.mark.parametrize('scope', SCOPES)
def test_scope_of_a_complete_installation_needs_no_import_at_all(scope):
    run(COMPLETE + building(scope))


def test_wrong_argument_in_a_config_names_the_value():
    with pytest.raises(ValueError, match="unknown arch 'huge'"):
        ROOT_MODELS.build({**CONFIG, 'arch': 'huge'})
