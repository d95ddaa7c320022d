"""Say what is installed, and whether it fits together.

    python tools/doctor.py [--pins] [--quiet]

Runs in any environment, the one of ``make install`` or your own. Exit code 2 and one
line for each thing that is wrong: what ``pip check`` says beyond the complaints that
the OpenMMLab wheels always cause, a second OpenCV, a binary that does not import.
"""

import argparse
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ('thirdparty', 'dev', 'openmmlab')
# Expected and harmless: the headless OpenCV serves them all, and mmpose never imports
# chumpy, which cannot be built.
EXPECTED = {
    'opencv-python': {'mmengine', 'mmcv', 'mmcv-lite', 'mmpose'},
    'opencv-contrib-python': {'mmaction2'},
    'chumpy': {'mmpose'},
}
OPENCV = (
    'opencv-python',
    'opencv-python-headless',
    'opencv-contrib-python',
    'opencv-contrib-python-headless',
)
CORE = ('torch', 'torchvision', 'numpy', 'timm')
OPENMMLAB = ('mmengine', 'mmcv', 'mmcv-lite', 'mmdet', 'mmsegmentation', 'mmaction2')
SHOWN = (*CORE, *OPENCV, *OPENMMLAB, 'mmpose', 'mmpretrain', 'uniformer-backbones')
KNOWN_MMCV = (['2', '0'], ['2', '1'])  # mmdet, mmseg and mmaction2 refuse others
# Those whose binaries depend on another package or on a system library.
BINARIES = ('torchvision', 'cv2', 'pycocotools.mask', 'xtcocotools.mask', 'decord')


def version_of(name: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def unexpected(pip_check: str) -> list[str]:
    """Return the lines of ``pip check`` that are no expected complaint."""
    bad = []
    for line in filter(None, map(str.strip, pip_check.splitlines())):
        found = re.fullmatch(
            r'(\S+) \S+ requires (\S+), which is not installed\.', line
        )
        known = found and found[1].lower() in EXPECTED.get(found[2].lower(), ())
        if not known and line != 'No broken requirements found.':
            bad.append(line)
    return bad


def missing_pins() -> list[str]:
    """Return the pins of requirements/ that this environment does not hold."""
    return [
        f'{name}=={version}'
        for name, version in read_pins().items()
        if version_of(name) != version
    ]


def read_pins() -> dict[str, str]:
    """Return the versions that requirements/ pin, by distribution."""
    pins = {}
    for file in REQUIREMENTS:
        for line in (ROOT / 'requirements' / f'{file}.txt').read_text().splitlines():
            name, _, version = line.split('#')[0].strip().partition('==')
            if name:
                pins[name] = version
    return pins


def import_errors() -> list[str]:
    """Import the compiled third-party parts that are installed; return what fails."""
    bad = []
    for name in BINARIES:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            continue  # not every task needs all of them
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            bad.append(f'import {name} fails: {str(error).splitlines()[0]}')
    return bad


def complaints() -> list[str]:
    """Return everything that is wrong with this environment."""
    check = [sys.executable, '-m', 'pip', 'check']
    done = subprocess.run(check, capture_output=True, text=True)
    if 'No module named pip' in done.stderr:
        bad = ['this environment has no pip: python -m ensurepip']
    else:
        bad = unexpected(done.stdout)
    builds = [name for name in OPENCV if version_of(name)]
    if not builds:
        pin = read_pins()['opencv-python-headless']
        bad.append(f'no OpenCV: pip install opencv-python-headless=={pin}')
    if len(builds) > 1:
        bad.append(f'{" and ".join(builds)} overwrite one another: keep one of them')
    for name in ('mmcv', 'mmcv-lite'):
        version = version_of(name)
        if version and version.split('.')[:2] not in KNOWN_MMCV:
            bad.append(
                f'{name} {version}: the libraries of OpenMMLab take 2.0 and 2.1 only'
            )
    if version_of('torch') is None:
        bad.append('torch is missing: pip install -e .')
    if version_of('mmengine') is None:
        bad.append(
            'mmengine is missing: pip install --no-deps -r requirements/openmmlab.txt'
        )
    return bad + import_errors()


def device() -> str:
    """Return what a model would run on."""
    if version_of('torch') is None:
        return 'none, torch is missing'
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'


def report() -> None:
    """Print the versions that matter, the device and the kind of mmcv."""
    print(f'Python {sys.version.split()[0]}, {sys.executable}')
    for name in SHOWN:
        if version_of(name):
            print(f'  {name:<24}{version_of(name)}')
    print('device:', device())
    print(
        'operators:', 'compiled mmcv' if version_of('mmcv') else 'torchvision fallbacks'
    )


def main(argv: list[str] | None = None) -> int:
    """Read the command line, check, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--quiet', action='store_true', help='only say what is wrong')
    parser.add_argument('--pins', action='store_true', help='compare the pins, no more')
    args = parser.parse_args(argv)
    if args.pins:
        bad = [f'{pin} is not installed' for pin in missing_pins()]
    else:
        if not args.quiet:
            report()
        bad = complaints()
    for line in bad:
        print(f'error: {line}', file=sys.stderr)
    if not bad and not args.quiet:
        print('everything fits together')
    return 2 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
