"""What tasks share: short runs, nested configs."""

import pytest
from mmengine.config import Config

from projects.common.task import datasets, fit_to_steps, set_everywhere, transforms


def config():
    dataset = {'type': 'Any', 'pipeline': []}
    return Config({'train_dataloader': {'batch_size': 4, 'dataset': dataset}})


@pytest.mark.parametrize(
    ('length', 'steps', 'times', 'indices', 'epochs'),
    [
        (4, 300, 100, None, 3),  # 4 * 100 / 4 steps an epoch
        (400, 300, None, None, 3),  # 100 steps an epoch
        (1200, 300, None, None, 1),
        (118287, 300, None, 1200, 1),  # COCO: its first 1200 images
        (3, 1, None, None, 1),
    ],
)
def test_a_short_run_is_short_on_any_data(length, steps, times, indices, epochs):
    cfg = config()
    assert fit_to_steps(cfg, length, 4, steps) == epochs
    outer = cfg.train_dataloader.dataset
    assert outer.get('times') == times
    [inner] = datasets(cfg, 'train')
    assert inner.type == 'Any'
    assert inner.get('indices') == indices


def test_settings_and_transforms_are_found_at_any_depth():
    node = {'heads': [{'num_classes': 80}, {'inner': {'num_classes': 80}}]}
    set_everywhere(node, 'num_classes', 4)
    assert node == {'heads': [{'num_classes': 4}, {'inner': {'num_classes': 4}}]}
    pipeline = [{'type': 'A'}, {'type': 'B', 'transforms': [[{'type': 'C'}]]}]
    assert [t['type'] for t in transforms(pipeline)] == ['A', 'B', 'C']
