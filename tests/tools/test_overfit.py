"""Mask R-CNN UniFormer-S learns four COCO photographs by heart."""

import re
from pathlib import Path

import pytest

from tests.tools.conftest import DET, PHOTOGRAPHS

OPTIONS = ('--quick', 320, '--steps', 150, '--init', 'none')


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason='no photographs here')
def test_training_set_ap50_is_above_09_on_four_photographs(run_tool, tmp_path):
    """The command of configs/det/README.md."""
    arguments = ('--data', PHOTOGRAPHS, *OPTIONS, '--work-dir', tmp_path)
    result = run_tool('train', DET, *arguments, timeout=3000)
    assert result.returncode == 0, result.stderr[-2000:]
    assert 'training and testing on the same images' in result.stdout
    [ap50] = re.findall(r'box AP50\D+([\d.]+)', result.stdout)
    assert float(ap50) > 0.9
    assert Path(tmp_path / 'curve.png').is_file()
