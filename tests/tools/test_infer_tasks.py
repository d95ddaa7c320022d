"""tools/infer.py on classification, segmentation, poses and videos."""

import cv2
import pytest

from tests.tools.tiny_models import (
    CLS,
    EVERY_BOX,
    NAMES,
    POSE,
    SEG,
    VIDEO,
    prepare,
    read,
    save_detector,
    write_clip,
    write_photo,
)


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path)


@pytest.fixture(scope='module')
def detector(configs, tmp_path_factory):
    folder = tmp_path_factory.mktemp('det')
    return configs / 'tiny.py', save_detector(configs / 'tiny.py', folder)


def test_classifier_ranks_the_classes(call, photo, tmp_path):
    files = prepare(tmp_path, CLS, {'classes': NAMES})
    out = tmp_path / 'out'
    code, _, err = call('infer', *files, photo, '--out', out)
    assert (code, err) == (0, '')
    (entry,) = read(out)['inputs']
    scores = [item['score'] for item in entry['top']]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert entry['class'] == NAMES[entry['label']]
    assert (out / entry['picture']).is_file()


def test_names_of_a_file_win_and_unknown_classes_get_numbers(call, photo, tmp_path):
    files = prepare(tmp_path, CLS, {})
    names = tmp_path / 'names.txt'
    names.write_text('one\ntwo\n')
    out = tmp_path / 'out'
    code, _, _ = call('infer', *files, photo, '--out', out, '--classes', names)
    assert code == 0
    found = {item['class'] for item in read(out)['inputs'][0]['top']}
    assert found == {'one', 'two', 'class 2'}


def test_segmenter_writes_a_mask_of_class_numbers(call, photo, tmp_path):
    files = prepare(tmp_path, SEG, {'classes': NAMES})
    out = tmp_path / 'out'
    code, _, err = call('infer', *files, photo, '--out', out)
    assert (code, err) == (0, '')
    (entry,) = read(out)['inputs']
    labels = cv2.imread(str(out / entry['mask']), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (60, 90)
    for item in entry['classes']:
        assert item['class'] == NAMES[item['label']]
        assert item['share'] == pytest.approx(
            (labels == item['label']).mean(), abs=1e-4
        )
    assert (out / entry['picture']).is_file()


SKELETON = {
    'dataset_name': 'three',
    'keypoint_id2name': {0: 'head', 1: 'hand', 2: 'foot'},
    'num_keypoints': 3,
    'flip_indices': [0, 1, 2],
    'skeleton_links': [(0, 1), (0, 2)],
}


def check_people(entry, people):
    assert len(entry['instances']) == people
    for person in entry['instances']:
        names = [point['name'] for point in person['keypoints']]
        assert names == ['head', 'hand', 'foot']
        assert set(person['keypoints'][0]) == {'name', 'x', 'y', 'score'}


def test_pose_of_the_whole_image(call, photo, tmp_path):
    files = prepare(tmp_path, POSE, SKELETON)
    out = tmp_path / 'out'
    code, _, err = call('infer', *files, photo, '--out', out)
    assert (code, err) == (0, '')
    (entry,) = read(out)['inputs']
    check_people(entry, 1)
    assert entry['instances'][0]['box'] == [0, 0, 90, 60]
    assert (out / entry['picture']).is_file()


def test_pose_in_the_boxes_of_a_detector(call, detector, photo, tmp_path):
    cfg, weights = detector
    code, _, _ = call('infer', cfg, weights, photo, '--out', tmp_path / 'a', *EVERY_BOX)
    assert code == 0
    boxes = read(tmp_path / 'a')['inputs'][0]['instances']
    wanted = boxes[0]['label']
    people = [thing for thing in boxes if thing['label'] == wanted]
    det = tmp_path / 'det.py'
    rcnn = 'dict(score_thr=0, max_per_img=5)'
    det.write_text(f'_base_ = {str(cfg)!r}\nmodel = dict(test_cfg=dict(rcnn={rcnn}))')

    files = prepare(tmp_path, POSE, SKELETON)
    options = ('--det', det, '--det-checkpoint', weights, '--det-class', wanted)
    out = ('--out', tmp_path / 'b', '--score-thr', 0)
    code, _, err = call('infer', *files, photo, *out, *options)
    assert (code, err) == (0, '')
    (entry,) = read(tmp_path / 'b')['inputs']
    check_people(entry, len(entry['instances']))
    assert 1 <= len(entry['instances']) <= len(people)  # after suppression
    assert entry['instances'][0]['box'] == pytest.approx(people[0]['box'], abs=0.02)

    out = ('--out', tmp_path / 'c', '--score-thr', 1)  # nobody is found
    code, _, err = call('infer', *files, photo, *out, *options)
    assert (code, err) == (0, '')
    assert read(tmp_path / 'c')['inputs'][0]['instances'] == []


@pytest.mark.parametrize('own_reader', [False, True])
def test_recognizer_ranks_the_classes_of_a_video(call, tmp_path, own_reader):
    content, clip = {**VIDEO}, write_clip(tmp_path)
    if own_reader:
        sample = {'type': 'DenseSample', 'clip_len': 4, 'stride': 2, 'num_clips': 2}
        steps = VIDEO['test_dataloader']['dataset']['pipeline'][3:]
        steps = [{'type': 'SampleVideo', 'sample': sample}, *steps]
        dataset = {'type': 'VideoDataset', 'pipeline': steps}
        content['test_dataloader'] = {'dataset': dataset}
    files = prepare(tmp_path, content, {'classes': NAMES})
    bad = tmp_path / 'bad.mp4'
    bad.write_bytes(clip.read_bytes()[:200])
    out = tmp_path / 'out'
    code, _, err = call('infer', *files, clip, bad, '--out', out)
    assert code == 0, err
    found = read(out)
    (entry,) = found['inputs']
    assert entry['class'] == NAMES[entry['label']]
    scores = [item['score'] for item in entry['top']]
    assert sum(scores) == pytest.approx(1, abs=1e-3)
    assert cv2.imread(str(out / entry['picture'])).shape[:2] == (480, 1152)
    assert [item['file'] for item in found['skipped']] == [str(bad)]
