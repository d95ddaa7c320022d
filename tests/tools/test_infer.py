"""tools/infer.py on detection: what it writes, and what it does with bad inputs."""

import shutil
import struct
import zlib

import cv2
import pytest
from pycocotools import mask as coco

from projects.common.media import MAX_PIXELS
from tests.tools.tiny_models import EVERY_BOX, read, save_detector, write_photo


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path)


@pytest.fixture(scope='module')
def detector(configs, tmp_path_factory):
    folder = tmp_path_factory.mktemp('det')
    return configs / 'tiny.py', save_detector(configs / 'tiny.py', folder)


def test_detector_gives_classes_scores_boxes_and_masks(call, detector, photo, tmp_path):
    out = tmp_path / 'out'
    code, text, err = call('infer', *detector, photo, '--out', out, *EVERY_BOX)
    assert code == 0, err
    assert err == ''  # not one warning
    found = read(out)
    (entry,) = found['inputs']
    assert entry['file'] == str(photo)
    assert len(entry['instances']) == 5
    assert found['classes'][3] == 'thing 3'
    for thing in entry['instances']:
        assert thing['class'] == f'thing {thing["label"]}'
        assert 0 <= thing['score'] <= 1
        x1, y1, x2, y2 = thing['box']
        assert 0 <= x1 <= x2 <= 90
        assert 0 <= y1 <= y2 <= 60
        assert coco.decode(thing['mask']).shape == (60, 90)
    assert cv2.imread(str(out / entry['picture'])).shape == (480, 720, 3)
    assert str(out / 'predictions.json') in text


def test_score_threshold_keeps_only_what_reaches_it(call, detector, photo, tmp_path):
    options = ('--score-thr=0.9', *EVERY_BOX[1:])
    code, _, _ = call('infer', *detector, photo, '--out', tmp_path / 'out', *options)
    assert code == 0
    assert read(tmp_path / 'out')['inputs'][0]['instances'] == []


def test_bad_inputs_are_skipped_and_listed(call, detector, photo, tmp_path):
    folder = tmp_path / 'in'
    (folder / 'deeper').mkdir(parents=True)
    shutil.copy(photo, folder / 'good.png')
    shutil.copy(photo, folder / 'deeper/good.PNG')
    (folder / 'notes.txt').write_text('not an image, and nobody says so')
    (folder / 'text.jpg').write_text('hello')
    (folder / 'empty.jpg').write_bytes(b'')
    (folder / 'cut.png').write_bytes(photo.read_bytes()[:5000])
    (folder / 'huge.png').write_bytes(huge_png())
    out = tmp_path / 'out'
    code, _, err = call(
        'infer', *detector, folder, tmp_path / 'absent.png', '--out', out, *EVERY_BOX
    )
    assert code == 0
    found = read(out)
    files = [entry['file'] for entry in found['inputs']]
    assert files == [str(folder / 'deeper/good.PNG'), str(folder / 'good.png')]
    assert len({entry['picture'] for entry in found['inputs']}) == 2
    reasons = {entry['file']: entry['reason'] for entry in found['skipped']}
    assert 'no such file' in reasons[str(tmp_path / 'absent.png')]
    assert 'cannot be read as an image' in reasons[str(folder / 'text.jpg')]
    assert 'cannot be read as an image' in reasons[str(folder / 'empty.jpg')]
    assert 'cannot be read as an image' in reasons[str(folder / 'cut.png')]
    assert f'{MAX_PIXELS:,} pixels' in reasons[str(folder / 'huge.png')]
    assert err.splitlines()[-1] == '2 predicted, 5 skipped'
    for file in reasons:
        assert err.count(f'skipped {file}:') == 1


def huge_png():
    """Header of a PNG of 20000 x 20000 pixels, and next to nothing behind it."""
    content = b'\x89PNG\r\n\x1a\n'
    header = struct.pack('>IIBBBBB', 20000, 20000, 8, 2, 0, 0, 0)
    for name, data in (
        (b'IHDR', header),
        (b'IDAT', zlib.compress(b'0')),
        (b'IEND', b''),
    ):
        check = struct.pack('>I', zlib.crc32(name + data))
        content += struct.pack('>I', len(data)) + name + data + check
    return content


def test_when_no_input_works_the_code_is_2(call, detector, tmp_path):
    bad = tmp_path / 'bad.jpg'
    bad.write_text('x')
    code, _, err = call('infer', *detector, bad, '--out', tmp_path / 'out')
    assert code == 2
    assert 'none of the inputs could be used, 1 were skipped' in err
    assert read(tmp_path / 'out')['skipped'][0]['file'] == str(bad)


def test_mistakes_are_one_line_and_code_2(call, detector, photo, tmp_path):
    cfg, checkpoint = detector
    broken = tmp_path / 'broken.pth'
    broken.write_text('x')
    out = ('--out', tmp_path / 'out')
    pose = ('--det', 'no/det.py')
    for arguments, message in (
        (('no/such.py', checkpoint, photo), 'no/such.py: no such config'),
        ((cfg, 'no/such.pth', photo), 'no/such.pth: no such checkpoint'),
        ((cfg, broken, photo), 'broken.pth is not a readable checkpoint'),
        ((cfg, checkpoint, photo, '--device', 'warp'), 'no such device'),
        ((cfg, checkpoint, photo, '--classes', 'no.txt'), 'no.txt: no such file'),
        ((cfg, checkpoint, photo, *pose), 'no/det.py: no such config'),
        ((cfg, checkpoint, photo, '--det', cfg), '--det needs --det-checkpoint'),
    ):
        code, _, err = call('infer', *arguments, *out)
        assert code == 2, arguments
        assert message in err
        assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / 'out').exists()


def test_checkpoint_of_another_model_is_refused(call, detector, photo, tmp_path):
    cfg, checkpoint = detector
    deeper = ('--cfg-options', 'model.backbone.arch.depths=(1,1,3,1)')
    out = ('--out', tmp_path / 'out')
    code, _, err = call('infer', cfg, checkpoint, photo, *out, *deeper)
    assert code == 2
    assert 'is of another model than this config' in err
    assert 'backbone.blocks3.2' in err
