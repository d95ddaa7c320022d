"""mmaction2 can be imported although its wheel lacks a folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from uniformer_backbones.compat import mmaction_drn

ROOT = Path(__file__).parents[2]


def run(code):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.slow
def test_mmaction_models_import_after_the_package():
    done = run(
        'import uniformer_backbones, sys\n'
        "assert 'mmaction' not in sys.modules\n"
        'import mmaction.models\n'
        'from mmaction.models.localizers import DRN\n'
        'from mmaction.registry import MODELS\n'
        "print(mmaction.models.Recognizer3D.__name__, MODELS.get('DRN') is None)\n"
    )
    assert done.stdout.strip().endswith('Recognizer3D True'), done.stderr


def test_building_the_missing_model_says_what_to_do():
    with pytest.raises(NotImplementedError, match='install mmaction2 from source'):
        mmaction_drn.DRN(vocab_size=1)


@pytest.mark.parametrize('folder', [True, False], ids=['complete', 'wheel'])
def test_stub_is_placed_only_where_the_folder_is_missing(tmp_path, monkeypatch, folder):
    package = tmp_path / 'mmaction'
    localizers = package / 'models' / 'localizers'
    (localizers / 'drn' if folder else localizers).mkdir(parents=True)
    (package / '__init__.py').write_text("raise RuntimeError('was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split('.')[0] == 'mmaction']:
        monkeypatch.delitem(sys.modules, name)
    names = (mmaction_drn.FOLDER, f'{mmaction_drn.FOLDER}.drn')
    mmaction_drn.install_drn_stub()
    mmaction_drn.install_drn_stub()
    try:
        assert all((name in sys.modules) is not folder for name in names)
    finally:
        for name in names:
            sys.modules.pop(name, None)
