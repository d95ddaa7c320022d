"""The pages of the project: their links, and the commands that they tell to run.

A command is a line of a fenced block, or code in a sentence, that begins with one of
``RUNNERS``. It must name a tool that exists, and options that the tool takes; a config
that it names must exist. Words in capitals stand for what the reader puts there.
"""

import argparse
import ast
import contextlib
import importlib
import importlib.util
import io
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

RUNNERS = ('python ', 'make', 'torchrun ', 'pip ')
PAGES = ('*.md', 'docs/*.md', 'configs/*/*.md', 'projects/*/*.md')
FENCE = re.compile(r'^( *)```(\w*)\n(.*?)^\1```', re.M | re.S)
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')
NO_CONFIG = ': no such config'
PLACEHOLDER = re.compile(r'[A-Z][A-Z0-9_/]*(\.\.\.)?')


@dataclass(frozen=True)
class Command:
    """A command of a page, as the reader sees it."""

    page: Path
    text: str


class _Parsed(Exception):  # noqa: N818 - says that a tool took its arguments
    """Carries what the parser of a tool made of a command line."""


def find_pages(root: Path) -> list[Path]:
    """Pages of the project, by their paths from its root."""
    found = {path.relative_to(root) for pattern in PAGES for path in root.glob(pattern)}
    return sorted(found)


def find_commands(root: Path, page: Path) -> Iterator[Command]:
    """Commands in the blocks and sentences of a page."""
    text = (root / page).read_text('utf-8')
    for match in FENCE.finditer(text):
        if match[2] in ('', 'sh', 'bash', 'console'):
            for line in match[3].replace('\\\n', ' ').splitlines():
                line = re.sub(r'(^|\s)#.*', '', line).strip().removeprefix('$ ')
                if line.startswith(RUNNERS):
                    yield Command(page, line)
    prose = FENCE.sub('', text)
    for line in re.findall(r'^    ((?:python|make|pip) .*)$', prose, re.M):
        yield Command(page, re.sub(r'\s#.*', '', line).strip())
    for code in re.findall(r'`([^`]+)`', prose):
        code = ' '.join(code.split())
        if code.startswith(('python tools/', 'make ', 'torchrun ')):
            yield Command(page, code)


def check_command(root: Path, command: Command) -> str | None:
    """What is wrong with a command; ``None`` if it could be run."""
    text = re.sub(r'\[([^\]]*)\]', r'\1', command.text)  # [--option] of a synopsis
    try:
        words = [first_choice(word) for word in shlex.split(text)]
    except ValueError as error:
        return str(error)
    while words and re.fullmatch(r'[A-Z_]+=\S*', words[0]):
        words.pop(0)
    if words[0] == 'make':
        return _check_make(root, words[1:])
    if words[0] == 'pip':
        return None if words[1] == 'install' else f'pip {words[1]}'
    if words[0] == 'torchrun':
        at = next((i for i, word in enumerate(words) if word.endswith('.py')), None)
        if at is None:
            return 'names no script'
        words = words[at - 1 :]
    if words[1] == '-m':
        found = importlib.util.find_spec(words[2])
        return None if found else f'no module {words[2]}'
    wrong = check_tool(root, words[1], words[2:])
    if wrong and wrong.endswith(NO_CONFIG):
        page = root / command.page
        if f'\nAdd `{wrong.removesuffix(NO_CONFIG)}`:\n' in page.read_text('utf-8'):
            return None  # the page has told to write it
    return wrong


def first_choice(word: str) -> str:
    """``official`` of ``mmengine|official``-like lists; other words as they are."""
    return word.split('|')[0]


def check_tool(root: Path, script: str, words: list[str]) -> str | None:
    """What is wrong with the arguments of a tool; ``None`` if it takes them."""
    path = root / script
    if not path.is_file():
        return f'{script}: no such file'
    if any(word in ('-h', '--help') for word in words):
        return None
    try:
        parsed = parse(path, [number(words, at) for at in range(len(words))])
    except SyntaxError as error:
        choice = re.search("invalid choice: '(.*?)'", str(error))
        if choice and PLACEHOLDER.fullmatch(choice[1]):
            return None  # the reader chooses
        return str(error)
    for name in ('config', 'det'):
        value = getattr(parsed, name, None)
        if not isinstance(value, str) or not value.endswith('.py'):
            continue
        if value.startswith('configs/') and not (root / value).is_file():
            return f'{value}{NO_CONFIG}'
    return None


def number(words: list[str], at: int) -> str:
    """A word, or 1 where it is a letter that stands for a number."""
    return '1' if words[at] in ('N', 'SIDE') and at else words[at]


def parse(script: Path, words: list[str]) -> argparse.Namespace:
    """What a tool's parser makes of some words; nothing of the tool is run.

    Raises:
        SyntaxError: the parser refuses them; with its message.
    """

    def stop(self: argparse.ArgumentParser, *_: object) -> None:
        error = _Parsed()
        error.args = (original(self, words),)
        raise error

    original = argparse.ArgumentParser.parse_args
    spec = importlib.util.spec_from_file_location(f'docs_{script.stem}', script)
    module = importlib.util.module_from_spec(spec)
    said = io.StringIO()
    path = list(sys.path)
    try:
        with (
            patch.object(argparse.ArgumentParser, 'parse_args', stop),
            contextlib.redirect_stderr(said),
        ):
            spec.loader.exec_module(module)
            module.main()
    except _Parsed as parsed:
        return parsed.args[0]
    except SystemExit as error:
        last = said.getvalue().strip().splitlines()[-1:] or ['refused']
        raise SyntaxError(last[0]) from error
    finally:
        sys.path[:] = path
    raise SyntaxError(f'{script.name} parses no arguments')


def _check_make(root: Path, words: list[str]) -> str | None:
    text = (root / 'Makefile').read_text('utf-8')
    targets = set(re.findall(r'^([a-z][\w-]*):', text, re.M))
    for word in words:
        if word == '...':
            continue
        name = word.split('=')[0]
        if '=' not in word and word not in targets:
            return f'no target {word!r} in the Makefile'
        if '=' in word and not re.search(rf'^{name} \??=', text, re.M):
            return f'the Makefile has no {name}'
    return None


def check_links(root: Path, pages: list[Path]) -> list[str]:
    """Links to files and headings that do not exist; pages that none leads to."""
    lines, linked = [], {Path('README.md')}
    for page in pages:
        text = FENCE.sub('', (root / page).read_text('utf-8'))
        for target in LINK.findall(text):
            if '://' in target or target.startswith('mailto:'):
                continue
            name, _, anchor = target.partition('#')
            path = (root / page).parent / name if name else root / page
            if not path.exists():
                lines.append(f'{page}: {target}: no such file')
                continue
            if root in path.resolve().parents:
                linked.add(path.resolve().relative_to(root))
            if anchor and anchor not in anchors(path):
                lines.append(f'{page}: {target}: no such heading')
    lost = [page for page in pages if page not in linked]
    return lines + [f'{page}: no page leads to it' for page in lost]


def anchors(path: Path) -> set[str]:
    """Names that GitHub gives to the headings of a page."""
    text = FENCE.sub('', path.read_text('utf-8'))
    titles = re.findall(r'^#+ +(.*)$', text, re.M)
    return {
        re.sub(r'[^\w\- ]', '', t.lower()).strip().replace(' ', '-') for t in titles
    }


def check_python(root: Path, page: Path) -> list[str]:
    """Python blocks that do not parse, or import what is not there."""
    lines = []
    for match in FENCE.finditer((root / page).read_text('utf-8')):
        if match[2] != 'python':
            continue
        try:
            tree = ast.parse(match[3])
        except SyntaxError as error:
            lines.append(f'{page}: python block: {error.msg}: {error.text}')
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                lines += [
                    f'{page}: {node.module} has no {alias.name}'
                    for alias in node.names
                    if not hasattr(module, alias.name)
                ]
    return lines
