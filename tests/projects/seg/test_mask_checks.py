"""Every fault of an image or its mask is found before the first step, in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from projects.common.errors import UserError
from projects.seg import checks
from projects.seg.checks import check_classes, check_masks
from projects.seg.loading import LoadColorMask, LoadLabelMask

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 0)]


def picture(size=(8, 6), mode='RGB', value=0):
    return Image.new(mode, size, value)


def pair(tmp_path, mask, image=None):
    """An image and a mask (None: no file) as a data set lists them."""
    paths = tmp_path / 'image.png', tmp_path / 'mask.png'
    (image or picture()).save(paths[0])
    if mask is not None:
        mask.save(paths[1])
    return {'img_path': str(paths[0]), 'seg_map_path': str(paths[1])}


def palette_mask(index):
    mask = picture(mode='P', value=index)
    mask.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    return mask


@pytest.mark.parametrize(
    'mask',
    [
        picture(mode='L', value=2),
        picture(mode='L', value=255),
        picture(mode='1', value=1),
        palette_mask(2),
    ],
    ids=['labels', 'ignored', 'bits', 'palette indices'],
)
def test_masks_of_labels_pass(tmp_path, mask):
    check_masks([pair(tmp_path, mask)], 3, (), 'train')


@pytest.mark.parametrize(
    'mask',
    [picture(value=(0, 255, 0)), picture(mode='L'), palette_mask(1)],
    ids=['rgb', 'black', 'palette'],
)
def test_masks_of_listed_colours_pass(tmp_path, mask):
    check_masks([pair(tmp_path, mask)], 2, COLORS, 'train')


def wrong(tmp_path, item, message, labels=3, colors=()):
    with pytest.raises(UserError, match=message) as caught:
        check_masks([item], labels, colors, 'train')
    assert str(tmp_path) in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (None, 'has no mask .*mask.png'),
        (picture((6, 8), 'L'), 'the image is 8 x 6, its mask 6 x 8'),
        (picture(mode='L', value=3), 'holds label 3, but labels go from 0 to 2'),
        (palette_mask(3), r'holds label 3.*palette image: its indices'),
        (picture(mode='I;16', value=1), 'is no 8-bit mask but I;16'),
        (picture(), r'is a colour picture \(RGB\).*list the colours in classes.txt'),
        (picture(mode='RGBA'), r'is a colour picture \(RGBA\)'),
    ],
    ids=['missing', 'size', 'label', 'palette', '16 bit', 'rgb', 'rgba'],
)
def test_a_wrong_mask_is_named(tmp_path, mask, message):
    wrong(tmp_path, pair(tmp_path, mask), message)


def test_a_colour_that_is_not_listed_is_named(tmp_path):
    item = pair(tmp_path, picture(value=(9, 8, 7)))
    wrong(tmp_path, item, r'holds the colour \(9, 8, 7\)', 2, COLORS)


def test_files_that_cannot_be_read_are_named(tmp_path):
    item = pair(tmp_path, picture(mode='L'))
    (tmp_path / 'mask.png').write_bytes(b'x')
    wrong(tmp_path, item, 'mask.png: cannot be read as an image')
    item = pair(tmp_path, Image.effect_noise((200, 200), 1), picture((200, 200)))
    content = (tmp_path / 'mask.png').read_bytes()
    (tmp_path / 'mask.png').write_bytes(content[: len(content) // 2])
    wrong(tmp_path, item, 'mask.png: cannot be read as an image', 256)
    (tmp_path / 'image.png').write_bytes(b'x')
    wrong(tmp_path, item, 'image.png: cannot be read as an image')
    (tmp_path / 'image.png').unlink()
    wrong(tmp_path, item, 'image.png: no such image')


def test_a_photograph_that_lies_on_its_side_fits_an_upright_mask(tmp_path):
    item = pair(tmp_path, picture((6, 8), 'L'))
    item['img_path'] = str(tmp_path / 'side.jpg')
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to see it upright
    picture((8, 6)).save(item['img_path'], exif=exif)
    check_masks([item], 3, (), 'train')


def test_faults_are_counted_and_every_mask_of_a_small_set_is_read(tmp_path):
    items = []
    for name in 'abcd':
        (tmp_path / name).mkdir()
        value = 9 if name in 'bd' else 1
        items.append(pair(tmp_path / name, picture(mode='L', value=value)))
    message = r'/b/mask.png: holds label 9.*\(val; 2 of 4 have faults\)'
    with pytest.raises(UserError, match=message):
        check_masks(items, 3, (), 'val')


def test_of_a_large_set_every_header_but_not_every_mask_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, 'READ_MASKS', 1)
    items = []
    for name, value in (('a', 1), ('b', 9)):
        (tmp_path / name).mkdir()
        items.append(pair(tmp_path / name, picture(mode='L', value=value)))
    check_masks(items, 3, (), 'train')
    picture((6, 8), 'L').save(items[1]['seg_map_path'])
    with pytest.raises(UserError, match='the image is 8 x 6'):
        check_masks(items, 3, (), 'train')


def test_the_labels_that_occur_are_collected(tmp_path):
    items = []
    for name, value in (('a', 1), ('b', 255)):
        (tmp_path / name).mkdir()
        mask = picture(mode='L', value=value)
        mask.putpixel((0, 0), 2)
        items.append(pair(tmp_path / name, mask))
    assert check_masks(items, 3, (), 'train') == {1, 2, 255}
    bits = pair(tmp_path, picture(mode='1', value=1))
    assert check_masks([bits], 2, (), 'train') == {1}
    colored = pair(tmp_path, picture(value=COLORS[1]))
    assert check_masks([colored], 2, COLORS, 'train') == {1}


def test_masks_of_less_than_two_classes_are_refused():
    message = r"masks: fewer than two .* 'person' in no mask; .* 0/255 masks\? 'person'"
    with pytest.raises(UserError, match=message) as caught:
        check_classes({0, 255}, ['wall', 'person'], Path('masks'), 'train')
    assert str(caught.value).endswith('is label 1 (train)')
    with pytest.raises(UserError, match="'a', 'b' in no mask") as caught:
        check_classes({0, 2}, [None, 'a', None, 'b'], Path('masks'), 'val')
    assert '255' not in str(caught.value)


def test_classes_that_never_occur_are_a_short_warning(monkeypatch):
    told = []
    monkeypatch.setattr(checks, 'print_log', lambda text, **_: told.append(text))
    check_classes({1, 2, 255}, [None, 'a', 'b'], Path('masks'), 'train')
    assert told == []
    check_classes({0, 1}, list('abcdefghij'), Path('masks'), 'train')
    [text] = told
    assert text.startswith("masks: 8 of 10 classes are in no mask that was read: 'c', ")
    assert text.endswith("'g' and 3 more (train)")


def test_what_the_checks_accept_is_what_mmseg_loads(tmp_path):
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[:3] = COLORS[1]
    mask = Image.fromarray(pixels)
    for kind in (mask, mask.quantize(3), mask.convert('RGBA')):
        item = pair(tmp_path, kind)
        check_masks([item], 2, COLORS, 'train')
        loader = LoadColorMask(colors=COLORS[:2], ignored=COLORS[2:])
        labels = loader({**item, 'seg_fields': []})['gt_seg_map']
        assert labels.dtype == np.uint8
        assert (labels[:3] == 1).all()
        assert (labels[3:] == 255).all()
    assert loader({'img_path': 'x'}) == {'img_path': 'x'}


class Masks(Dataset):
    """One mask, loaded as while training."""

    def __init__(self, item, **kwargs):
        self.item, self.loader = item, LoadLabelMask(**kwargs)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.loader({**self.item, 'seg_fields': []})['gt_seg_map']


@pytest.mark.parametrize('workers', [0, 1])
def test_a_wrong_label_in_a_mask_that_was_not_read_is_one_line(tmp_path, workers):
    mask = picture(mode='L', value=255)
    mask.putpixel((0, 0), 3)
    item = {**pair(tmp_path, mask), 'reduce_zero_label': False}
    [labels] = DataLoader(Masks(item, labels=4), num_workers=workers)
    assert labels[0, 0, 0] == 3
    with pytest.raises(UserError) as caught:
        list(DataLoader(Masks(item, labels=3), num_workers=workers))
    path = tmp_path / 'mask.png'
    said = f'{path}: holds label 3, but labels go from 0 to 2, 255 is ignored'
    assert str(caught.value) == said


def test_labels_are_counted_as_in_the_file_where_0_is_nothing(tmp_path):
    mask = picture(mode='L', value=0)
    mask.putpixel((0, 0), 3)
    item = {**pair(tmp_path, mask), 'reduce_zero_label': True}
    labels = Masks(item, labels=4)[0]
    assert (labels[0, 0], labels[1, 1]) == (2, 255)
    with pytest.raises(UserError, match='holds label 3, but labels go from 0 to 2'):
        Masks(item, labels=3)[0]
    assert LoadLabelMask(labels=3)({'img_path': 'x'}) == {'img_path': 'x'}
