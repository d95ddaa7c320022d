"""A small world and a small Mask R-CNN, shared by the tests of the tools."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.logging import MessageHub, MMLogger
from mmengine.visualization import Visualizer

ROOT = Path(__file__).resolve().parents[2]
DET = ROOT / 'configs/det/mask_rcnn_uniformer_s.py'
# Images 785, 40083, 196141 and 197388 of COCO val2017 with their keypoint annotations.
PHOTOGRAPHS = Path(
    os.environ.get('UNIFORMER_PHOTOGRAPHS', ROOT.parent / 'shared/data/real/coco')
)
TINY = f"""
_base_ = {str(DET)!r}
model = dict(
    backbone=dict(
        arch=dict(
            _delete_=True, depths=(1, 1, 2, 1), embed_dims=(8, 16, 24, 32), head_dim=8),
        init_cfg=None),
    neck=dict(in_channels=[8, 16, 24, 32], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=16),
        bbox_head=dict(in_channels=16, fc_out_channels=16),
        mask_roi_extractor=dict(out_channels=16),
        mask_head=dict(in_channels=16, conv_out_channels=16)))
"""
BY_ITERATION = """
_base_ = './tiny.py'
train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=4, val_interval=4)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=4)]
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
log_processor = dict(by_epoch=False)
"""


@pytest.fixture(scope='session')
def configs(tmp_path_factory):
    """Folder with tiny.py and by_iteration.py."""
    folder = tmp_path_factory.mktemp('configs')
    (folder / 'tiny.py').write_text(TINY)
    (folder / 'by_iteration.py').write_text(BY_ITERATION)
    return folder


@pytest.fixture
def call(monkeypatch, capfd):
    """Run a tool's main() in this process: (exit code, what it printed)."""

    def run(name, *arguments):
        # They would hold the stream and the folders of an earlier test.
        visualizers = (Visualizer, *Visualizer.__subclasses__())
        for singleton in (MMLogger, MessageHub, *visualizers):
            singleton._instance_dict.clear()
        path = ROOT / 'tools' / f'{name}.py'
        spec = importlib.util.spec_from_file_location(f'tool_{name}', path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        try:
            module.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def run_tool():
    """Run a tool in a process of its own."""

    def run(name, *arguments, **options):
        command = [sys.executable, str(ROOT / 'tools' / f'{name}.py')]
        return subprocess.run(
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **{'timeout': 600, **options},
        )

    return run
