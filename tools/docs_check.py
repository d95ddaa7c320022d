"""Check the pages: links, commands, Python blocks; then walk as a newcomer would.

    python tools/docs_check.py                  # everything, some minutes
    python tools/docs_check.py --walk cls det   # the walk of these tasks only
    python tools/docs_check.py --walk           # no walk

The walk takes the first --demo command of configs/<task>/README.md as it is, or --demo
with its first config, adds --quick 32 --steps 2, tests the checkpoint and predicts one
image or clip. Exit 1 and a line for each thing that is wrong.
"""

import argparse
import shlex
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console

import uniformer_backbones  # noqa: F401 - makes the OpenMMLab wheels importable
from projects.common.docs import (
    check_command,
    check_links,
    check_python,
    find_commands,
    find_pages,
)
from projects.common.runner import newest_checkpoint
from projects.common.zoo import ROOT, TASKS

SHORT = ['--quick', '32', '--steps', '2']
MEDIA = ('.jpg', '.jpeg', '.png', '.mp4')


def main() -> None:
    """Parse the command line, check the pages, walk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--walk', nargs='*', choices=list(TASKS), metavar='TASK')
    args = parser.parse_args()
    wrong = check_pages()
    for task in TASKS if args.walk is None else args.walk:
        wrong += walk(task)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in wrong:
        console.print(line)
    sys.exit(1 if wrong else 0)


def check_pages() -> list[str]:
    """What is wrong with links, commands and Python blocks."""
    pages = find_pages(ROOT)
    wrong = check_links(ROOT, pages)
    for page in pages:
        wrong += check_python(ROOT, page)
        for command in find_commands(ROOT, page):
            reason = check_command(ROOT, command)
            if reason:
                wrong.append(f'{page}: {command.text}: {reason}')
    return wrong


def walk(task: str) -> list[str]:
    """Train, test and predict as the page of a task says; what went wrong."""
    page = Path('configs') / task / 'README.md'
    commands = [c.text for c in find_commands(ROOT, page)] if page.is_file() else []
    trains = [text for text in commands if 'tools/train.py configs/' in text]
    if not trains:
        return [f'{page}: has no command that trains']
    train = next((text for text in trains if '--demo' in text), None)
    train = train or ' '.join([*trains[0].split()[:3], '--demo'])
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        words = shlex.split(train)[1:]
        config = work / 'run' / Path(words[1]).name
        steps = [[*words, *SHORT, '--work-dir', str(work / 'run')]]
        if failed := _run(steps[0]):
            return [f'{page}: {train}: {failed}']
        checkpoint = newest_checkpoint(work / 'run')
        if checkpoint is None or not config.is_file():
            return [f'{page}: {train}: leaves no checkpoint and config']
        run = [str(config), str(checkpoint)]
        picture = _held_out(task)
        for name, *rest in (
            ('test', '--work-dir', str(work / 'test')),
            ('infer', str(picture), '--out', str(work / 'predictions')),
        ):
            if failed := _run([f'tools/{name}.py', *run, *rest]):
                return [f'{page}: tools/{name}.py after {train}: {failed}']
        if not (work / 'predictions/predictions.json').is_file():
            return [f'{page}: tools/infer.py wrote no predictions']
    return []


def _held_out(task: str) -> Path:
    """An image or clip of a task's demo that was not trained on."""
    folder = import_module(f'projects.{task}.task').TASK.demo_folder()
    files = [path for path in sorted(folder.rglob('*val*/**/*')) if path.is_file()]
    return next(path for path in files if path.suffix in MEDIA)


def _run(words: list[str]) -> str:
    """The last line of a command that failed; empty if it did not."""
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or ['']
    return f'exit {done.returncode}: {last[0]}' if done.returncode else ''


if __name__ == '__main__':
    main()
