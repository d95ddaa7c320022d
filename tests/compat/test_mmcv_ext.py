"""When the fallback is put in place, and when it is not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# compat without its parent package, which imports the models, too.
HEAD = f"""
import sys, types
package = types.ModuleType('uniformer_backbones')
package.__path__ = [{str(ROOT / 'uniformer_backbones')!r}]
sys.modules['uniformer_backbones'] = package
import uniformer_backbones.compat as compat
"""


def run(code, folder, head=HEAD):
    """Run in a process whose mmcv is the folder's."""
    code = f'import sys\nsys.path.insert(0, {str(folder)!r})\n{head}{code}'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def make_mmcv(folder, extension=None):
    """An mmcv that complains when it is imported, which the check must not do."""
    package = folder / 'mmcv'
    package.mkdir()
    (package / '__init__.py').write_text("raise RuntimeError('mmcv was imported')\n")
    if extension is not None:
        (package / '_ext.py').write_text(extension)
    return package


def test_compiled_extension_wins(tmp_path):
    package = make_mmcv(tmp_path, "def nms(*args): return 'compiled'\n")
    code = (
        'compat.install(); compat.install()\n'
        "extension = sys.modules['mmcv._ext']\n"
        'print(extension.nms(), extension.__file__, hasattr(extension, "carafe"))\n'
    )
    out, _ = run(code, tmp_path)
    assert out == f'compiled {package / "_ext.py"} False'


@pytest.mark.parametrize(
    'error', ["ImportError('undefined symbol')", "OSError('no so')"]
)
def test_compiled_extension_for_another_pytorch_gives_way(tmp_path, error):
    make_mmcv(tmp_path, f'raise {error}\n')
    code = "compat.install(); print(sys.modules['mmcv._ext'].nms.__module__)"
    out, warning = run(code, tmp_path)
    assert out == 'uniformer_backbones.compat.mmcv_ops'
    assert 'rebuild mmcv for this PyTorch' in warning


def test_fallback_is_placed_without_importing_mmcv(tmp_path):
    make_mmcv(tmp_path)
    code = (
        'from importlib.util import find_spec\n'
        'compat.install()\n'
        "extension = sys.modules['mmcv._ext']\n"
        'compat.install()\n'
        "assert sys.modules['mmcv._ext'] is extension\n"
        "print('mmcv' in sys.modules, 'torchvision' in sys.modules)\n"
        'print(hasattr(extension, "roi_align_forward"), extension.__spec__.name)\n'
    )
    out, _ = run(code, tmp_path)
    assert out == 'False False\nTrue mmcv._ext'


def test_nothing_is_placed_without_mmcv(tmp_path):
    code = (
        "sys.modules['mmcv'] = sys.modules['mmaction'] = None  # as not installed\n"
        'compat.install()\n'
        "print([name for name in sys.modules if name.startswith(('mmcv.', 'mmact'))])\n"
    )
    out, _ = run(code, tmp_path)
    assert out == "['mmaction']"


def test_installing_imports_no_task_library(tmp_path):
    code = (
        'compat.install()\n'
        "heavy = ('mmdet', 'mmseg', 'mmpose', 'mmaction', 'mmpretrain', 'mmcv',\n"
        "         'torchvision', 'safetensors')\n"
        'print([name for name in heavy if name in sys.modules])\n'
    )
    out, _ = run(code, tmp_path)
    assert out == '[]'


@pytest.mark.slow
def test_importing_the_package_makes_mmcv_ops_importable(tmp_path):
    head = f'sys.path.insert(0, {str(ROOT)!r})\nimport uniformer_backbones\n'
    out, _ = run('import mmcv.ops\nprint(mmcv.ops.nms.__name__)\n', tmp_path, head)
    assert out == 'nms'


@pytest.mark.slow
def test_comparison_needs_a_compiled_mmcv(tmp_path):
    if getattr(sys.modules.get('mmcv._ext'), '__file__', None) is not None:
        pytest.skip('a compiled mmcv is installed')
    done = subprocess.run(
        [sys.executable, '-m', 'tests.compat.compare_compiled'],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ''
    assert len(done.stderr.strip().splitlines()) == 1
    assert 'no compiled mmcv' in done.stderr
