"""Whole released pose files into the models of our configs.

Key names and shapes of the head are those of mmpose 0.16 (its TopdownHeatmapSimpleHead,
then called ``keypoint_head``), those of the backbone are the fixture's; the values are
generated.
"""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.fixtures import read
from tests.weights.files import assert_holds, prefixed, save
from tests.weights.test_whole_models import build, layer, norm
from uniformer_backbones import load_official
from uniformer_backbones.weights.conversion import convert_file

ROOT = Path(__file__).parents[2]
# The release normalises all four stages and uses the last.
UNUSED = [f'norm{stage}.{part}' for stage in (1, 2, 3) for part in ('bias', 'weight')]


def pose_head(keypoints=17):
    """Three transposed convolutions of 4x4 without bias, with BatchNorm and ReLU."""
    head = layer('keypoint_head.final_layer', keypoints, 256, 1, 1)
    for index, width in ((0, 512), (3, 256), (6, 256)):
        name = f'keypoint_head.deconv_layers.{index}.weight'
        head[name] = torch.randn(width, 256, 4, 4)
        head.update(norm(f'keypoint_head.deconv_layers.{index + 1}', 256))
    return head


def released_file(keypoints=17):
    """What the release gives for S: ``meta`` and ``state_dict``, as mmcv writes it."""
    shapes = read('pose_small_global_256x192')['state_dict']
    backbone = {
        key: torch.rand(shape) if shape else torch.tensor(7)
        for key, shape in shapes.items()
    }
    state = {**prefixed(backbone, 'backbone.'), **pose_head(keypoints)}
    return {'meta': {'epoch': 210, 'iter': 30660}, 'state_dict': state}


def model_of(name='td_hm_uniformer_s_256x192'):
    config = Config.fromfile(ROOT / f'configs/pose/{name}.py')
    config.model.backbone.init_cfg = None
    return build('mmpose', config.model)


def ours(state):
    """The same weights under today's names, without what nothing reads."""
    unused = tuple(f'backbone.{key}' for key in UNUSED)
    return {
        key.replace('keypoint_head.', 'head.'): value
        for key, value in state.items()
        if key not in unused
    }


def test_whole_released_file_fills_the_model_of_the_config():
    file = released_file()
    model = model_of()
    report = load_official(model, file)
    assert sorted(report.dropped) == UNUSED
    assert (report.new, report.inflated) == ([], [])
    assert_holds(model, ours(file['state_dict']))
    assert len(ours(file['state_dict'])) == len(model.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize('size', ['256x192', '384x288', '448x320'])
def test_converted_file_loads_as_the_tools_load_it(size, tmp_path):
    """The command of configs/pose/README.md."""
    file = released_file()
    source = save(tmp_path / 'top_down_256x192_global_small.pth', {})
    torch.save(file, source)
    target = tmp_path / 'pose.pth'
    convert_file(source, target)
    stored = torch.load(target, weights_only=True)
    model = model_of(f'td_hm_uniformer_s_{size}')
    found = model.load_state_dict(stored.get('state_dict', stored), strict=False)
    assert found.missing_keys == []
    assert set(found.unexpected_keys) == {f'backbone.{key}' for key in UNUSED}
    assert_holds(model, ours(file['state_dict']))


@pytest.mark.slow
def test_head_of_another_skeleton_stays_new():
    model = model_of()
    report = load_official(model, released_file(keypoints=5))
    expected = ['final_layer.bias', 'final_layer.weight']
    assert sorted(report.new) == [f'head.{name}' for name in expected]
    assert set(report.dropped) - set(UNUSED) == {
        f'keypoint_head.{name}' for name in expected
    }
