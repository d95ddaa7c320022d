"""UniFormer-S learns the poses on four COCO photographs by heart."""

import re
from pathlib import Path

import pytest

from tests.tools.conftest import PHOTOGRAPHS, ROOT

LEAF = ROOT / 'configs/pose/td_hm_uniformer_s_256x192.py'
OPTIONS = ('--quick', 96, '--steps', 600, '--init', 'none')


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason='no photographs here')
def test_training_set_ap_is_above_09_on_four_photographs(run_tool, tmp_path):
    """The command of configs/pose/README.md."""
    arguments = ('--data', PHOTOGRAPHS, *OPTIONS, '--work-dir', tmp_path)
    result = run_tool('train', LEAF, *arguments, timeout=3000)
    assert result.returncode == 0, result.stderr[-2000:]
    assert 'training and testing on the same images' in result.stdout
    [ap] = re.findall(r'AP\s+│\s+([\d.]+)', result.stdout)
    assert float(ap) > 0.9
    assert Path(tmp_path / 'curve.png').is_file()
