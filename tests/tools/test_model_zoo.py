"""The zoo's metafiles against what was published, its tables, and its check."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from projects.common.errors import UserError
from projects.common.zoo import (
    ROOT,
    TASKS,
    Measured,
    check_measured,
    check_rows,
    gap,
    measure_all,
    read_rows,
)
from projects.common.zoo_tables import check_page, compare, figure, fill, render

PUBLISHED = json.loads((ROOT / 'tests/data/zoo_published.json').read_text())
METRICS = {
    'top1': 'Top 1 Accuracy',
    'box_mAP': 'box AP',
    'mask_mAP': 'mask AP',
    'mIoU': 'mIoU',
    'mIoU_ms': 'mIoU(ms+flip)',
    'AP': 'AP',
    'AP50': 'AP@0.5',
    'AP75': 'AP@0.75',
    'AR_M': 'AR (M)',
    'AR_L': 'AR (L)',
    'AR': 'AR',
}


@pytest.fixture(scope='module')
def rows():
    return read_rows()


@pytest.fixture
def row(rows):
    return next(row for row in rows if row.name == 'uniformer_s')


def test_metafiles_hold_every_published_number_as_it_was_printed(rows):
    own = {f'{row.task}-{row.name}': row for row in rows if row.metrics}
    assert set(own) == {entry['id'] for entry in PUBLISHED}
    assert len(PUBLISHED) == 100
    for entry in PUBLISHED:
        row = own[entry['id']]
        assert row.config == entry['config']
        assert (row.params, row.flops) == (entry['params_M'], entry['flops_G'])
        assert row.metrics == {METRICS[k]: v for k, v in entry['metrics'].items()}
        assert row.dataset in entry['dataset']


def test_rows_and_leaves_belong_together(rows, tmp_path):
    assert check_rows(rows, ROOT) == []
    wrong = replace(rows[0], name='x', config='configs/cls/x.py', status='fine')
    lines = check_rows([*rows[1:], wrong, rows[1]], ROOT)
    assert f'cls/{rows[1].name}: twice in its metafile' in lines
    assert 'configs/cls/metafile.yml: x: configs/cls/x.py: no such config' in lines
    assert "configs/cls/metafile.yml: x: status 'fine'" in lines
    assert f'{rows[0].config}: is in no metafile' in lines
    assert len(lines) == 4


@pytest.mark.parametrize(
    ('value', 'published', 'expected'),
    [
        (3.632, '3.6', 'met'),  # 0.9 % of 2 %
        (21.545, '22', 'rounded'),  # 2.1 %, but 21.5 is printed as 22
        (24.546, '24', 'missed'),
        (24.2, '24.0', 'met'),
        (24.6, '24.0', 'missed'),  # 2.5 %, and the digit was printed
        (0.425, '0.43', 'met'),
        (1.932, '2.0', 'missed'),
    ],
)
def test_a_figure_is_met_within_its_tolerance_or_its_rounding(
    value, published, expected
):
    assert gap(value, published, 0.02) == expected


def test_a_miss_needs_a_note_and_a_note_needs_a_miss(row):
    met, missed = Measured(22_000_000, 3_600_000_000), Measured(10, 3_600_000_000)
    noted = replace(row, notes={'Parameters': 'why'})
    assert check_measured([row], {row.config: met}) == []
    assert check_measured([noted], {row.config: missed}) == []
    [line] = check_measured([row], {row.config: missed})
    assert line.endswith('Parameters missed, and no note says why: measured 10')
    [line] = check_measured([noted], {row.config: met})
    assert 'Parameters met, a note denies it' in line


def test_small_models_measure_as_published():
    """10.2 M and 0.43 G are printed for XXS at 128 pixels, 4.7 G for pose S."""
    wanted = {
        'configs/cls/uniformer_xxs_128.py': 0.43e9,
        'configs/video/uniformer_xxs_u4_128_k400.py': 1.0e9,
    }
    found = measure_all(wanted, ROOT, jobs=1)
    for config, flops in wanted.items():
        assert found[config].flops == pytest.approx(flops, rel=0.02)
    assert found['configs/cls/uniformer_xxs_128.py'].params == pytest.approx(
        10.2e6, rel=0.01
    )


def fake(rows):
    return {row.config: Measured(21_545_000, 3_632_000_000) for row in rows}


def test_tables_show_published_and_measured_side_by_side(rows):
    table = render('cls', rows, fake(rows))
    assert (
        '| [uniformer_s](../configs/cls/uniformer_s.py) | ImageNet-1K | 22 | 21.55 '
        '| 3.6 | 3.632 | 82.9 | untrained | r |'
    ) in table
    summary = render('summary', rows, {})
    counts = {'cls': 24, 'video': 39, 'det': 8, 'seg': 18, 'pose': 6}
    for task, count in counts.items():
        library = TASKS[task][1]
        assert f'(configs/{task}/README.md) | {library} | {count} |' in summary
    assert sum(counts.values()) == 95


def test_a_changed_table_is_one_line_for_each_difference(rows):
    page = 'a\n<!-- zoo: seg -->\nold\n<!-- /zoo -->\nb\n'
    new = fill(page, rows, fake(rows))
    assert new.startswith('a\n<!-- zoo: seg -->\n| row |')
    assert fill(new, rows, fake(rows)) == new
    changed = new.replace('| 46.6 |', '| 46.7 |')
    lines = compare(Path('page.md'), changed, new)
    assert len(lines) == 4  # rows of FPN S and UPerNet S w32, as they should be and are
    assert compare(Path('page.md'), new, new) == []


def test_hand_written_tables_are_compared_with_the_metafile(row):
    text = (
        '| config | params (M) | top-1 | status |\n| --- | --- | --- | --- |\n'
        '| [uniformer_s](uniformer_s.py) | 22 | 82.9 | untrained |\n'
    )
    assert check_page(Path('p.md'), text, [row]) == []
    for old, new in (('82.9', '83.9'), ('untrained', 'reproduced'), ('22', '-')):
        [line] = check_page(Path('p.md'), text.replace(old, new), [row])
        assert line.startswith('p.md: differs from metafile.yml: | [uniformer_s]')
    assert check_page(Path('p.md'), '', [row]) == ['p.md: no table has uniformer_s.py']


def test_figures_have_four_digits():
    assert [figure(v) for v in (0.4251, 3.632, 21.545, 166.65, 1033.2)] == [
        '0.425',
        '3.632',
        '21.55',
        '166.7',
        '1033',
    ]


def test_broken_metafile_is_one_line(tmp_path):
    for task in TASKS:
        folder = tmp_path / 'configs' / task
        folder.mkdir(parents=True)
        shutil.copy(ROOT / f'configs/{task}/metafile.yml', folder)
    assert len(read_rows(tmp_path)) == 100
    (folder / 'metafile.yml').write_text('Models:\n  - Name: x\n')
    with pytest.raises(
        UserError, match=r'configs/pose/metafile.yml: KeyError'
    ) as error:
        read_rows(tmp_path)
    assert '\n' not in str(error.value)


def test_tool_reports_a_difference_and_exits_with_1(call, monkeypatch):
    monkeypatch.setattr(
        'projects.common.zoo.measure_all', lambda configs, *_: fake(read_rows())
    )
    code, out, _ = call('model_zoo', '--check')
    assert code == 1
    assert 'uniformer_b: Parameters missed, and no note says why' in out
    assert 'docs/model_zoo.md: should be: | [uniformer_b]' in out
