"""Data sets as they are downloaded become checked lists, or nothing is written."""

import json

import pytest

from projects.common.errors import UserError
from projects.video import files, prepare
from projects.video.frames import extract_frames
from projects.video.labels import class_names
from projects.video.prepare import REPORT, extract
from tests.projects.video.clips import write_clip


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('clip') / 'a.mp4', 20)


@pytest.fixture(scope='module')
def avi(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp('avi') / 'a.avi', 12, 'mpeg4', b_frames=0)


def put(source, *places):
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(source.read_bytes())


def write(path, text, encoding='utf-8'):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding)


def lines(path):
    return path.read_text().splitlines()


def run(name, root, **settings):
    return prepare.prepare(name, root, jobs=1, **settings)


HEADER = 'label,youtube_id,time_start,time_end,split\n'


def test_kinetics_official_csv(tmp_path, clip):
    put(
        clip,
        tmp_path / 'train/-abc_000010_000020.mp4',
        tmp_path / 'train/arm wrestling/xyz_000001_000011.mp4',
        tmp_path / 'val/v1_000000_000010.mp4',
    )
    rows = 'riding a bike,-abc,10,20,train\narm wrestling,xyz,1,11,train\n'
    write(tmp_path / 'annotations/train.csv', f'{HEADER}{rows}"yoga",gone,5,15,train\n')
    write(tmp_path / 'annotations/test.csv', HEADER + 'yoga,xyz,1,11,test\n')
    write(tmp_path / 'annotations/validate.csv', HEADER + 'marching,v1,0.0,10.0,val\n')
    report = run('kinetics400', tmp_path)
    # Labels of the released order: 0 riding a bike, 1 marching, 202 arm wrestling.
    assert lines(tmp_path / 'train.csv') == [
        'train/-abc_000010_000020.mp4,0',
        'train/arm wrestling/xyz_000001_000011.mp4,202',
    ]
    assert lines(tmp_path / 'val.csv') == ['val/v1_000000_000010.mp4,1']
    # Published numbers are of the validation set, whatever else was downloaded.
    assert lines(tmp_path / 'test.csv') == lines(tmp_path / 'val.csv')
    assert [(c.name, c.kind) for c in report.broken] == [
        ('gone_000005_000015.mp4', 'missing')
    ]
    frames = {c.frames for c in report.checks if not c.kind}
    assert frames == {20}
    assert report.checks[0].seconds == pytest.approx(19 / 25)


def test_kinetics_release_lists_and_another_label_order(tmp_path, clip):
    put(clip, tmp_path / 'videos/a.mp4', tmp_path / 'videos/b, c.mp4')
    write(tmp_path / 'annotations/train.csv', 'a.mp4,6\nb, c.mp4,0\n')
    write(tmp_path / 'annotations/val.csv', 'videos/a.mp4,6\n')
    run('kinetics400', tmp_path)
    assert lines(tmp_path / 'train.csv') == ['videos/a.mp4,6', 'videos/b, c.mp4,0']
    run('kinetics400', tmp_path, labels_in='k400_alphabetical')
    # 6 is arm wrestling and 0 abseiling in the alphabet.
    assert lines(tmp_path / 'train.csv') == ['videos/a.mp4,202', 'videos/b, c.mp4,341']


def test_kinetics_class_folders_need_no_annotations(tmp_path, clip):
    put(
        clip,
        tmp_path / 'train/feeding fish/a.mp4',
        tmp_path / 'val/hurling_sport/b.mp4',
    )
    run('kinetics600', tmp_path)
    assert lines(tmp_path / 'train.csv') == ['train/feeding fish/a.mp4,0']
    assert lines(tmp_path / 'val.csv') == ['val/hurling_sport/b.mp4,147']


def test_ucf101_official_splits(tmp_path, avi):
    put(
        avi,
        tmp_path / 'UCF-101/Archery/v_Archery_g08_c01.avi',
        tmp_path / 'UCF-101/YoYo/v_YoYo_g01_c01.avi',
    )
    split = tmp_path / 'annotations/ucfTrainTestlist'
    write(split / 'trainlist01.txt', 'Archery/v_Archery_g08_c01.avi 3\n')
    write(split / 'testlist01.txt', 'YoYo/v_YoYo_g01_c01.avi\n')
    write(split / 'classInd.txt', '1 ApplyEyeMakeup\n')
    run('ucf101', tmp_path)
    assert lines(tmp_path / 'split1/train.csv') == [
        'UCF-101/Archery/v_Archery_g08_c01.avi 2'
    ]
    for name in ('val', 'test'):
        assert lines(tmp_path / f'split1/{name}.csv') == [
            'UCF-101/YoYo/v_YoYo_g01_c01.avi 100'
        ]
    assert not (tmp_path / 'split2').exists()


def test_hmdb51_official_splits_with_extracted_frames(tmp_path, avi):
    put(avi, tmp_path / 'videos/wave/w1.avi', tmp_path / 'videos/wave/w2.avi')
    put(avi, tmp_path / 'videos/hit/h!(1).avi')
    split = tmp_path / 'annotations/testTrainMulti_7030_splits'
    write(split / 'wave_test_split1.txt', 'w1.avi 1 \nw2.avi 2 \nw3.avi 0 \n')
    write(split / 'hit_test_split1.txt', 'h!(1).avi 1 \n')
    assert [check.frames for check in extract('hmdb51', tmp_path, jobs=1)] == [12] * 3
    run('hmdb51', tmp_path)
    assert lines(tmp_path / 'split1/train.txt') == [
        'frames/h!(1) 12 17',
        'frames/w1 12 50',
    ]
    assert lines(tmp_path / 'split1/val.txt') == ['frames/w2 12 50']


@pytest.mark.parametrize('version', ['official', 'release'])
def test_something_something_v2(tmp_path, clip, version):
    for number in ('7', '8', '9'):
        extract_frames(clip, tmp_path / 'frames' / number, 'img_{:05}.jpg', 0)
    annotations, names = tmp_path / 'annotations', class_names('sthv2')
    if version == 'official':
        clips = [
            {'id': '7', 'label': 'holding a cup', 'template': names[16]},
            {'id': 8, 'template': 'Moving something up'},
        ]
        write(annotations / 'something-something-v2-train.json', json.dumps(clips))
        write(
            annotations / 'something-something-v2-validation.json',
            json.dumps([{'id': '9', 'template': names[173]}]),
        )
        write(annotations / 'something-something-v2-test.json', '[{"id": "9"}]')
        write(annotations / 'something-something-v2-labels.json', '{"a": "0"}')
    else:
        write(annotations / 'somesomev2_rgb_train_split.txt', '7 20 16\n8 99 44\n')
        write(annotations / 'somesomev2_rgb_validation_split.txt', '9 20 173\n')
        write(annotations / 'somesomev2_rgb_test_split.txt', '9 20 0\n')
    run('sthv2', tmp_path)
    # Frames are counted, not believed: 20, not 99.
    assert lines(tmp_path / 'train.txt') == ['frames/7 20 16', 'frames/8 20 44']
    assert lines(tmp_path / 'val.txt') == ['frames/9 20 173']
    assert lines(tmp_path / 'test.txt') == ['frames/9 20 0']


def test_something_something_v1_csv(tmp_path, clip):
    base = tmp_path / '20bn-something-something-v1'
    extract_frames(clip, base / '100218', '{:05}.jpg', 0)
    extract_frames(clip, base / '24413', '{:05}.jpg', 0)
    name, names = 'something-something-v1', class_names('sthv1')
    write(tmp_path / f'annotations/{name}-train.csv', f'100218;{names[5]}\n')
    write(tmp_path / f'annotations/{name}-validation.csv', f'24413;{names[21]}\n')
    write(tmp_path / f'annotations/{name}-labels.csv', '\n'.join(names))
    run('sthv1', tmp_path)
    assert lines(tmp_path / 'train.txt') == [f'{base.name}/100218 20 5']
    assert lines(tmp_path / 'val.txt') == [f'{base.name}/24413 20 21']


@pytest.fixture
def mixed(tmp_path, clip):
    """Two good videos and one of each fault."""
    put(clip, tmp_path / 'v/good1.mp4', tmp_path / 'v/good2.mp4')
    (tmp_path / 'v/empty.mp4').touch()
    (tmp_path / 'v/text.mp4').write_text('text')
    (tmp_path / 'v/cut.mp4').write_bytes(clip.read_bytes()[:3000])
    names = ['good1', 'empty', 'text', 'cut', 'gone', 'good2']
    text = ''.join(f'{name}.mp4,{label}\n' for label, name in enumerate(names))
    write(tmp_path / 'annotations/train.csv', text)
    write(tmp_path / 'annotations/val.csv', 'good2.mp4,5\n')
    return tmp_path


@pytest.mark.parametrize('quick', [False, True])
def test_broken_files_are_left_out_and_reported_by_kind(mixed, quick):
    report = run('kinetics400', mixed, quick=quick)
    assert lines(mixed / 'train.csv') == ['v/good1.mp4,0', 'v/good2.mp4,5']
    kinds = {check.name: check.kind for check in report.broken}
    assert kinds == {
        'v/empty.mp4': 'empty',
        'v/text.mp4': 'no video',
        'v/cut.mp4': 'truncated',
        'gone.mp4': 'missing',
    }
    text = lines(mixed / REPORT)
    assert text[0] == '6 checked, 4 broken'
    assert any(line.startswith('truncated\tv/cut.mp4\t') for line in text)
    assert report.lists == {
        mixed / 'train.csv': 2,
        mixed / 'val.csv': 1,
        mixed / 'test.csv': 1,
    }


def test_strict_writes_the_report_and_no_list(mixed):
    with pytest.raises(UserError, match=r'4 of 6 are broken, the first is .*empty.mp4'):
        run('kinetics400', mixed, strict=True)
    assert not (mixed / 'train.csv').exists()
    assert lines(mixed / REPORT)[0] == '6 checked, 4 broken'


def test_lists_are_whole_or_absent(mixed, monkeypatch):
    run('kinetics400', mixed)
    before = {path: path.read_text() for path in mixed.glob('*.csv')}
    write(mixed / 'annotations/train.csv', 'good1.mp4,7\n')
    synced = []

    def fail(handle):
        synced.append(handle)
        if len(synced) == 3:  # the report, the first list, and in the midst of the next
            raise OSError('No space left on device')

    monkeypatch.setattr(files.os, 'fsync', fail)
    with pytest.raises(OSError, match='No space'):
        run('kinetics400', mixed)
    assert {path: path.read_text() for path in mixed.glob('*.csv')} == before
    assert not list(mixed.glob('.*.csv.*'))


@pytest.mark.parametrize(
    ('name', 'files_', 'message'),
    [
        ('kinetics400', {}, r'no annotations of kinetics400'),
        ('ucf101', {'x.txt': ''}, r'no annotations of ucf101'),
        ('kinetics400', {'train.csv': 'a.mp4,400\n'}, r"'400' is no label, 0 to 399"),
        ('kinetics400', {'train.csv': 'a.mp4\n'}, r'train.csv:1: 2 parts expected'),
        (
            'kinetics400',
            {'train.csv': f'{HEADER}flying,a,1,2,t\n'},
            r"'flying' is no class",
        ),
        ('sthv2', {'s-train.json': '{"a": 1}'}, r'not a json list'),
        ('sthv2', {'s-train.json': '[{"id": '}, r'not a json list'),
        ('kinetics400', {'train.csv': 'a.mp4,1\n'}, r'no lists were written'),
    ],
)
def test_mistakes_get_one_line(tmp_path, name, files_, message):
    for file, text in files_.items():
        write(tmp_path / 'annotations' / file, text)
    with pytest.raises(UserError, match=message) as caught:
        run(name, tmp_path)
    assert '\n' not in str(caught.value)
    assert not list(tmp_path.glob('*.csv'))


@pytest.mark.parametrize(
    ('dataset', 'name', 'text'),
    [
        ('kinetics400', 'val.csv', f'{HEADER}marching,a,0,10,val\n'),
        ('kinetics400', 'val.csv', 'a_000000_000010.mp4,1\n'),
        ('sthv2', 'val.json', '[{"id": "a", "template": "Moving something up"}]'),
    ],
)
def test_annotations_with_a_byte_order_mark(tmp_path, clip, dataset, name, text):
    put(clip, tmp_path / 'a_000000_000010.mp4')
    extract_frames(clip, tmp_path / 'frames/a', 'img_{:05}.jpg', 0)
    write(tmp_path / 'annotations' / name, text, 'utf-8-sig')
    report = run(dataset, tmp_path)
    assert not report.broken
    assert set(report.lists.values()) == {1}


def test_a_list_without_any_files_is_left_out(mixed, monkeypatch):
    told = []
    monkeypatch.setattr(prepare, 'print_log', lambda text, **_: told.append(text))
    write(mixed / 'annotations/train.csv', 'gone.mp4,0\nempty.mp4,1\n')
    report = run('kinetics400', mixed)
    assert set(report.lists) == {mixed / 'val.csv', mixed / 'test.csv'}
    assert lines(mixed / 'val.csv') == ['v/good2.mp4,5']
    assert not (mixed / 'train.csv').exists()
    [text] = told
    assert text.startswith(f'{mixed / "train.csv"}: not written, every file')
