"""Metadata of the package; the pinned and verified set lives in requirements/.

No OpenMMLab library and no OpenCV is named here, on purpose. Their metadata asks for
chumpy, which cannot be built, and for three OpenCV builds that overwrite one another:
as a dependency, mmengine alone makes pip bring opencv-python 5 and numpy 2 into a
working environment. They are installed by
``pip install --no-deps -r requirements/openmmlab.txt``, and an extra holds what the
library of its task needs beside that. Lower bounds only, so that
``pip install -e .`` leaves an existing environment as it is.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

INIT = Path(__file__).parent / 'uniformer_backbones' / '__init__.py'
VERSION = re.search(r"^__version__ = '([^']+)'", INIT.read_text('utf-8'), re.M)

# What mmengine needs at run time, since pip does not see mmengine itself.
MMENGINE = ['addict', 'matplotlib', 'pyyaml', 'rich', 'termcolor', 'yapf']

EXTRAS = {
    'cls': ['einops', 'importlib_metadata', 'mat4py', 'modelindex'],
    'det': ['pycocotools', 'scipy', 'shapely', 'six', 'terminaltables', 'tqdm'],
    'seg': ['ftfy', 'packaging', 'prettytable', 'regex', 'scipy'],
    # The wheels of xtcocotools are built against numpy 1. With one of your own build
    # against numpy 2, leave this extra out.
    'pose': ['json-tricks', 'munkres', 'numpy<2', 'scipy', 'six', 'xtcocotools>=1.14'],
    # decord has wheels for x86-64 only, and no source on the index.
    'video': [
        'av',
        'decord; platform_machine == "x86_64" or platform_machine == "AMD64"',
        'einops',
        'importlib_metadata',
        'scipy',
    ],
}
EXTRAS['all'] = sorted({need for extra in EXTRAS.values() for need in extra})
EXTRAS['dev'] = ['codespell', 'mypy', 'onnx', 'onnxruntime', 'onnxscript']
EXTRAS['dev'] += ['pytest', 'pytest-xdist', 'ruff', 'tensorboard']

setup(
    name='uniformer-backbones',
    version=VERSION[1],
    description='UniFormer for OpenMMLab 2.x: one backbone for images and clips',
    license='Apache-2.0',
    python_requires='>=3.10',
    # `projects` holds what tools and configs import; both need the checkout, so the
    # supported way to install is `pip install -e .`.
    packages=find_packages(include=['uniformer_backbones*', 'projects*']),
    package_data={
        'uniformer_backbones': ['py.typed'],
        'projects.video': ['label_maps/*.txt'],
    },
    zip_safe=False,
    install_requires=[
        'torch>=2.4',
        'torchvision>=0.19',
        'numpy',
        'pillow',
        'timm>=1.0',
        'safetensors',
        *MMENGINE,
    ],
    extras_require=EXTRAS,
)
