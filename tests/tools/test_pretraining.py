"""The study of what image pretraining gives clips, in miniature."""

import csv
import json

import pytest

from projects.video import pretraining_runs
from projects.video.pretraining import Study
from projects.video.pretraining_runs import Scores, init_from, read_scores
from projects.video.pretraining_table import make_table, summarise, write_results
from tests.tools.test_mistakes import check

SCORES = Scores(
    image={0: 0.5, 1: 0.7},
    clips={
        'scratch': {0: {5: 0.1, 10: 0.2}, 1: {5: 0.3, 10: 0.6}},
        'center': {0: {5: 0.5, 10: 0.9}, 1: {5: 0.5, 10: 0.7}},
    },
)


def test_summary_is_mean_and_sample_deviation_over_the_seeds():
    summary = summarise(SCORES)
    assert summary['scratch'][5] == pytest.approx((0.2, 0.02**0.5))
    assert summary['scratch'][10] == pytest.approx((0.4, 0.08**0.5))
    assert summary['center'][5] == pytest.approx((0.5, 0))


def test_table_has_a_row_for_each_start_and_a_column_for_each_step():
    table = make_table(SCORES)
    assert [column.header for column in table.columns] == [
        'start',
        '5 steps',
        '10 steps',
    ]
    assert list(table.columns[2].cells) == ['0.400 ± 0.283', '0.800 ± 0.141']
    assert '2 seeds, chance 0.125' in table.title
    one = Scores({0: 0.5}, {'scratch': {0: {5: 0.25}}})
    assert list(make_table(one).columns[1].cells) == ['0.250']


def test_files_hold_every_run_and_the_settings(tmp_path):
    paths = write_results(Study(steps=10, every=5), SCORES, tmp_path)
    rows = list(csv.DictReader(paths['every run'].open()))
    assert len(rows) == 8
    assert rows[3] == {'start': 'scratch', 'seed': '1', 'step': '10', 'accuracy': '0.6'}
    summary = json.loads(paths['summary'].read_text())
    assert summary['settings']['steps'] == 10
    assert summary['accuracy']['center']['10']['mean'] == pytest.approx(0.8)
    assert paths['curves'].stat().st_size > 5000


def test_starts_differ_in_nothing_but_the_weights(tmp_path):
    configs = {
        start: Study().clip_config(tmp_path, init_from(tmp_path / 'image.pth', start))
        for start in pretraining_runs.STARTS
    }
    weights = [
        config.model.backbone.pop('init_cfg') for config in dict(configs).values()
    ]
    assert [w and w['inflate'] for w in weights] == [None, 'center', 'average']
    texts = {config.pretty_text for config in configs.values()}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--steps', 0), ('steps', '0')),
        (('--side', 16), ('side', '32')),
        (('--frames', 73), ('frames', '72')),
        (('--arch', 'medium'), ('medium', 'small')),
    ],
)
def test_wrong_sizes_are_one_line(call, tmp_path, options, words):
    check(call('pretraining', '--work-dir', tmp_path / 'run', *options), *words)
    assert not (tmp_path / 'run').exists()


def test_two_studies_do_not_mix(call, tmp_path):
    pretraining_runs.check_same(Study(lr=1e-3), tmp_path)
    result = call('pretraining', '--work-dir', tmp_path)
    check(result, tmp_path, 'lr=0.001', '--work-dir')


@pytest.mark.slow
def test_study_goes_on_where_it_was_stopped(call, tmp_path, monkeypatch):
    monkeypatch.setenv('UNIFORMER_DEMO_HOME', str(tmp_path / 'demo'))
    folder = tmp_path / 'run'
    tool = ('pretraining', '--quick', '--seeds', 3, '--work-dir', folder)
    note = pretraining_runs.KeepScores.after_val_epoch

    def stop(hook, runner, metrics=None):
        note(hook, runner, metrics)
        if runner.work_dir.endswith('center'):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pretraining_runs.KeepScores, 'after_val_epoch', stop)
        code, _, err = call(*tool)
    assert code == 130
    assert 'the same command goes on' in err
    runs = folder / 'seed3'
    assert list(read_scores(runs / 'center')) == [2]
    done = {name: (runs / name / 'scores.json').stat() for name in ('image', 'scratch')}

    code, said, _ = call(*tool)
    assert code == 0
    for name, before in done.items():
        assert (runs / name / 'scores.json').stat().st_mtime_ns == before.st_mtime_ns
    logs = [path.read_text() for path in sorted((runs / 'center').glob('*/*.log'))]
    assert len(logs) == 2
    assert 'resumed epoch: 0, iter: 2' in logs[1]
    for start in pretraining_runs.STARTS:
        assert list(read_scores(runs / start)) == [2, 4]
        assert f'│ {start}' in said
        assert not list((runs / start).glob('*.pth'))
    assert 'inflated' in logs[0]
    assert (runs / 'image/iter_2.pth').is_file()
    assert (folder / 'pretraining.png').is_file()

    code, again, _ = call(*tool)
    assert code == 0
    assert again == said[said.index('the image models') :]
