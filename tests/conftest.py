"""What all tests share: seeded tensors, a small world, skips for what is not here."""

import os

import pytest
import torch
from mmengine.registry import DefaultScope

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.world.cache import demo_world


def pytest_collection_modifyitems(items):
    """Tests that need a GPU skip themselves where there is none."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='no CUDA device'))


@pytest.fixture(autouse=True)
def _fresh():
    """Seeded, and without the scope that an earlier test's Runner left behind."""
    DefaultScope._instance_dict.clear()
    torch.manual_seed(0)


@pytest.fixture(params=[2, 3], ids=['images', 'clips'])
def ndim(request):
    """Images and clips."""
    return request.param


@pytest.fixture(scope='session')
def world(tmp_path_factory):
    """Eight training and four held-out scenes in COCO's layout."""
    os.environ['UNIFORMER_DEMO_HOME'] = str(tmp_path_factory.mktemp('demo'))
    try:
        return demo_world('coco', num_train=8, num_val=4, size=64)
    finally:
        del os.environ['UNIFORMER_DEMO_HOME']
