"""What the check of the pages finds: links, commands, Python."""

from pathlib import Path

import pytest

from projects.common.docs import (
    Command,
    anchors,
    check_command,
    check_links,
    check_python,
    find_commands,
    find_pages,
)
from projects.common.zoo import ROOT

PAGE = Path('README.md')


def command(text):
    return Command(PAGE, text)


@pytest.mark.parametrize(
    'text',
    [
        'python tools/train.py configs/det/mask_rcnn_uniformer_s.py --demo',
        'python tools/train.py CONFIG --quick 32 --steps 2 --init none',
        'python tools/convert.py IN OUT [--to mmengine|official] [--head-dim N]',
        'python tools/prepare_video.py kinetics400',
        'python tools/prepare_video.py NAME',
        'python -m tests.parity tests/data/parity/*.json',
        'make VENV=/roomy/disk/venv PYTHON=/path/to/python3.11 ...',
        'make zoo-check',
        "pip install -e '.[det]'",
        'torchrun --nproc_per_node 8 tools/train.py CONFIG --launcher pytorch',
    ],
)
def test_commands_that_can_be_run(text):
    assert check_command(ROOT, command(text)) is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('python tools/trainer.py CONFIG', 'tools/trainer.py: no such file'),
        ('python tools/train.py CONFIG --dmeo', 'unrecognized arguments: --dmeo'),
        ('python tools/train.py', 'required: config'),
        ('python tools/train.py configs/det/none.py --demo', 'no such config'),
        ('python tools/convert.py IN OUT --to caffe', "invalid choice: 'caffe'"),
        ('python -m tests.party', 'no module tests.party'),
        ('make tset', "no target 'tset'"),
        ('make VENVV=/x', 'has no VENVV'),
        ('pip uninstall torch', 'pip uninstall'),
        ('torchrun --nproc_per_node 8 train', 'names no script'),
        ("python tools/train.py 'CONFIG", 'No closing quotation'),
    ],
)
def test_commands_that_cannot_be_run(text, message):
    assert message in check_command(ROOT, command(text))


def test_a_config_that_the_page_tells_to_write_need_not_exist():
    text = 'python tools/train.py configs/seg/fpn_uniformer_s_40k.py --demo'
    assert check_command(ROOT, Command(Path('CONTRIBUTING.md'), text)) is None
    assert 'no such config' in check_command(ROOT, command(text))


@pytest.fixture
def site(tmp_path):
    """A small project with a page of everything."""
    (tmp_path / 'docs').mkdir()
    (tmp_path / 'README.md').write_text('# Title\n\n[page](docs/page.md#a-heading)\n')
    (tmp_path / 'docs/page.md').write_text(
        '# A heading\n\nType `python tools/a.py X` or `a.py`.\n\n'
        '```\n$ make b   # why\npython tools/c.py \\\n    --long\nmore output\n```\n\n'
        '```text\nmake no\n```\n\n'
        '```python\nfrom pathlib import Path, Pith\n```\n\n'
        '[gone](gone.md) [up](../README.md) [far](https://a.b) [none](#none)\n'
    )
    (tmp_path / 'docs/lost.md').write_text('# Lost\n\n```python\nif\n```\n')
    return tmp_path


def test_every_command_of_a_page_is_found(site):
    found = [c.text for c in find_commands(site, Path('docs/page.md'))]
    assert [' '.join(text.split()) for text in found] == [
        'make b',
        'python tools/c.py --long',
        'python tools/a.py X',
    ]


def test_broken_links_and_lost_pages_are_found(site):
    assert check_links(site, find_pages(site)) == [
        'docs/page.md: gone.md: no such file',
        'docs/page.md: #none: no such heading',
        'docs/lost.md: no page leads to it',
    ]


def test_python_that_cannot_be_is_found(site):
    assert check_python(site, Path('docs/page.md')) == [
        'docs/page.md: pathlib has no Pith'
    ]
    [line] = check_python(site, Path('docs/lost.md'))
    assert line.startswith('docs/lost.md: python block: ')


def test_headings_have_the_names_of_github(tmp_path):
    page = tmp_path / 'a.md'
    page.write_text('# What is `exact`?\n\n```\n# no heading\n```\n\n## head_dim\n')
    assert anchors(page) == {'what-is-exact', 'head_dim'}
