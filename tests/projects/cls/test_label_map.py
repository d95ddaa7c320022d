"""Label maps: LV-ViT's files, what is refused, and the labels pooled from them."""

import math
import pickle

import numpy as np
import pytest
import torch

from projects.cls.label_map import (
    LabelMapError,
    label_map_path,
    read_label_map,
    view_labels,
    write_label_map,
)


def save(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def valid(classes=5, side=18):
    """A map as LV-ViT released them: (2, 5, 18, 18), half precision."""
    logits = torch.rand(5, side, side) * 10
    numbers = torch.randint(0, classes, (5, side, side)).float()
    return torch.stack([logits, numbers]).half()


def test_released_layout_is_read(tmp_path):
    content = valid(1000)
    path = label_map_path(tmp_path, 'any/where/n01440764/n01440764_10026.JPEG')
    assert path == tmp_path / 'n01440764/n01440764_10026.pt'
    save(path, content)
    values = read_label_map(path, 1000)
    assert values.dtype == np.float32
    assert torch.from_numpy(values).equal(content.float())


class Evil:
    def __reduce__(self):
        return print, ('executed',)


def spoiled(**changes):
    content = valid()
    for plane, value in changes.items():
        content[{'logits': 0, 'classes': 1}[plane], 0, 0, 0] = value
    return content


@pytest.mark.parametrize(
    ('content', 'part'),
    [
        (
            torch.rand(5, 18, 18),
            r'shape \(2, k, H, W\) is needed, it has \(5, 18, 18\)',
        ),
        (torch.rand(3, 5, 18, 18), r'it has \(3, 5, 18, 18\)'),
        (torch.rand(2, 5, 0, 18), r'it has \(2, 5, 0, 18\)'),
        ({'map': valid()}, 'it is a dict'),
        (spoiled(logits=math.nan), 'not finite'),
        (spoiled(classes=5), 'has class 5, but the config trains 5 classes'),
        (spoiled(classes=1.5), 'plane 1 must hold class numbers'),
        (spoiled(classes=-1), 'plane 1 must hold class numbers'),
        (Evil(), 'refused, it holds more than a tensor'),
    ],
)
def test_wrong_map_is_one_line_with_its_name(tmp_path, capsys, content, part):
    path = save(tmp_path / 'image.pt', content)
    with pytest.raises(LabelMapError, match=part) as caught:
        read_label_map(path, 5)
    assert str(caught.value).startswith(str(path))
    assert '\n' not in str(caught.value)
    assert 'executed' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'content', [b'', b'<html>', pickle.dumps(Evil()), b'PK\x03\x04'], ids=range(4)
)
def test_damaged_file_is_one_line(tmp_path, content):
    path = tmp_path / 'image.pt'
    path.write_bytes(content)
    with pytest.raises(LabelMapError) as caught:
        read_label_map(path, 5)
    assert str(caught.value).startswith(str(path))
    assert '\n' not in str(caught.value)


def test_missing_map_says_how_to_make_it(tmp_path):
    with pytest.raises(LabelMapError, match=r'no such label map.*make_label_maps'):
        read_label_map(tmp_path / 'a.pt', 5)


def test_error_of_a_worker_is_still_one_line():
    text = 'Caught LabelMapError in worker 0.\nOriginal Traceback:\n  File "x"\n'
    error = LabelMapError(text + 'projects.cls.label_map.LabelMapError: a.pt: gone\n')
    assert str(error) == 'a.pt: gone'


def test_written_map_is_read_back(tmp_path):
    logits = torch.randn(12, 4, 6)
    path = tmp_path / 'class/image.pt'
    write_label_map(path, logits)
    values = read_label_map(path, 12)
    assert values.shape == (2, 5, 4, 6)
    best = logits.sort(dim=0, descending=True)
    assert torch.from_numpy(values[0]).equal(best.values[:5].half().float())
    assert torch.from_numpy(values[1]).equal(best.indices[:5].float())
    assert [file.name for file in path.parent.iterdir()] == ['image.pt']
    assert torch.load(path, weights_only=True).dtype == torch.float16


def test_class_numbers_beyond_half_precision_survive(tmp_path):
    logits = torch.zeros(5000, 1, 1)
    logits[4097] = 1.0  # no half has this value
    write_label_map(tmp_path / 'a.pt', logits, top=2)
    assert read_label_map(tmp_path / 'a.pt', 5000)[1, 0, 0, 0] == 4097


def test_few_classes_give_a_thin_map(tmp_path):
    write_label_map(tmp_path / 'a.pt', torch.rand(3, 2, 2))
    assert read_label_map(tmp_path / 'a.pt', 3).shape == (2, 3, 2, 2)


def constant(logit, label, height=8, width=8):
    """One class everywhere, and the four others that a map names at 0."""
    content = np.zeros((2, 5, height, width), np.float32)
    content[0, 0], content[1, 0] = logit, label
    content[1, 1:] = np.arange(10, 14)[:, None, None]
    return content


def test_label_of_a_constant_map_is_the_softmax_over_all_classes():
    labels = view_labels(constant(4.0, 3), (0.1, 0.2, 0.7, 0.9), (7, 7), 1000)
    assert labels.shape == (7, 7, 1000)
    peak = math.exp(4) / (math.exp(4) + 999)
    assert labels[..., 3].numpy() == pytest.approx(peak, rel=1e-5)
    assert labels[..., 500].numpy() == pytest.approx(1 / (math.exp(4) + 999), rel=1e-5)
    assert labels.sum(-1).numpy() == pytest.approx(1, rel=1e-5)


def ramp(axis, side=64):
    """Logit of class 3 = position of a cell's centre along an axis, from 0 to 1."""
    content = constant(0.0, 3, side, side)
    centres = (np.arange(side) + 0.5) / side
    content[0, 0] = centres[:, None] if axis == 0 else centres
    return content


def logit(labels, label=3):
    """What the softmax was taken of: all classes that are not named have logit 0."""
    return (labels[..., label] / labels[..., 0]).log().numpy()


@pytest.mark.parametrize('axis', [0, 1])
def test_tokens_see_the_places_they_cover(axis):
    # x from 0.2 to 0.8, y from 0.3 to 0.6; a token's label is that of its centre
    view = (0.2, 0.3, 0.8, 0.6)
    pooled = logit(view_labels(ramp(axis), view, (3, 6), 20))
    low, high, count = ((0.3, 0.6, 3), (0.2, 0.8, 6))[axis]
    centres = low + (np.arange(count) + 0.5) * (high - low) / count
    expected = np.broadcast_to(centres[:, None] if axis == 0 else centres, pooled.shape)
    assert pooled == pytest.approx(expected, abs=2e-3)


def test_label_of_the_image_is_pooled_before_the_softmax():
    # Half of the view has logit 6, half 0: their mean is 3.
    content = constant(0.0, 3)
    content[0, 0, :, 4:] = 6.0
    pooled = logit(view_labels(content, (0.0, 0.0, 1.0, 1.0), (1, 1), 20))
    assert pooled.item() == pytest.approx(3, abs=0.02)
