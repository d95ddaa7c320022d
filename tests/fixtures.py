"""The parity fixtures kept in the project."""

import functools
import json
from pathlib import Path

FOLDER = Path(__file__).parent / 'data' / 'parity'
NAMES = sorted(path.stem for path in FOLDER.glob('*.json'))


@functools.cache
def read(name):
    return json.loads((FOLDER / f'{name}.json').read_text())
