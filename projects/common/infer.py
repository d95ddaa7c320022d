"""The steps of inference, between the command line and the libraries' inferencers."""

import argparse
import json
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS
from rich.console import Console
from rich.progress import track

from projects.common.errors import UserError, describe
from projects.common.media import InputError, find_files
from projects.common.options import check_device, read_config
from projects.common.pictures import write_png
from projects.common.predictor import Predictor, Settings
from projects.common.predictors import PREDICTORS
from projects.common.results import print_places
from projects.common.task import datasets, set_everywhere
from projects.common.weights import load_published
from uniformer_backbones.compat.checkpoint import read_checkpoint

LISTED = 20  # bad inputs named on the console; the json has them all


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of the tool beside config and checkpoint."""
    add = parser.add_argument
    add('inputs', nargs='+', metavar='INPUT', help='files and folders')
    add('--out', required=True, metavar='DIR', help='for predictions.json and pictures')
    add(
        '--score-thr', type=float, default=0.3, help='lowest score of a box or keypoint'
    )
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--classes', metavar='FILE', help='names of the classes, one a line')
    add(
        '--det',
        default='whole_image',
        metavar='CONFIG',
        help='pose: config of the detector that finds the people (default: none)',
    )
    add('--det-checkpoint', metavar='FILE', help='pose: weights of the detector')
    add('--det-class', type=int, default=0, help="pose: the detector's class of people")


def build_predictor(cfg: Config, args: argparse.Namespace) -> Predictor:
    """Check the command line and load the model.

    Raises:
        UserError: a file is missing, or the checkpoint does not fit the config.
    """
    kind = PREDICTORS.get(cfg.get('default_scope'))
    if kind is None:
        raise UserError(
            f'{args.config}: default_scope {cfg.get("default_scope")!r} is none of '
            f'{", ".join(PREDICTORS)}'
        )
    inner = datasets(cfg, 'test')
    if not inner:
        raise UserError(
            f'{args.config}: has no test_dataloader, whose pipeline prepares the inputs'
        )
    check_device(args.device)
    checkpoint = _read(args.checkpoint)
    settings = Settings(
        checkpoint=args.checkpoint,
        classes=class_names(cfg, checkpoint, args.classes),
        device=args.device,
        threshold=args.score_thr,
        folder=Path(args.out),
        detector=_detector(args),
    )
    cfg.test_dataloader.dataset = inner[0]
    for key in ('init_cfg', 'pretrained'):  # the checkpoint holds everything
        set_everywhere(cfg.model, key, None)
    with _silence():
        predictor = kind(cfg, settings)
    # The inferencers load what fits and say nothing of the rest.
    load_published(predictor.model, checkpoint, args.checkpoint)
    if settings.detector is not None and predictor.detector is not None:
        path = args.det_checkpoint
        load_published(predictor.detector, _read(path), path)
    return predictor


def run(
    predictor: Predictor, inputs: Iterable[str], debug: bool
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Predict every input; draw a picture of each.

    Args:
        predictor: of the task.
        inputs: files and folders.
        debug: let the error of an input through.

    Returns:
        An entry for each input that worked, and the reason for each that did not.
    """
    found: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    pictures = predictor.settings.folder / 'pictures'
    pictures.mkdir(parents=True, exist_ok=True)
    files: dict[Path, None] = {}  # each once, in the order given
    for name in inputs:
        try:
            files.update(dict.fromkeys(find_files(Path(name), predictor.suffixes)))
        except InputError as error:
            skipped.append({'file': name, 'reason': str(error)})
    names = _unique_names(files)
    console = Console(stderr=True)
    progress = track(names.items(), 'Predicting', console=console, transient=True)
    for path, name in progress if console.is_terminal else names.items():
        try:
            with _silence():
                data, picture = predictor.predict(path, name)
        except Exception as error:  # a file can be wrong in any way
            if debug:
                raise
            text = describe(error).splitlines()
            reason = shorten(text[0] if text else type(error).__name__, 200)
            skipped.append({'file': str(path), 'reason': reason})
            continue
        file = pictures / f'{name}.png'
        write_png(file, picture)
        found.append({'file': str(path), 'picture': f'pictures/{file.name}', **data})
    return found, skipped


def report(
    predictor: Predictor,
    args: argparse.Namespace,
    found: list[dict[str, Any]],
    skipped: list[dict[str, str]],
) -> None:
    """Write the json; print what was skipped and where everything is.

    Raises:
        UserError: not one input worked.
    """
    out = predictor.settings.folder
    content = {
        'config': args.config,
        'checkpoint': args.checkpoint,
        'classes': list(predictor.settings.classes),
        'score_threshold': args.score_thr,
        'inputs': found,
        'skipped': skipped,
    }
    file = out / 'predictions.json'
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + '\n', 'utf-8')
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for entry in skipped[:LISTED]:
        console.print(f'skipped {entry["file"]}: {entry["reason"]}')
    if len(skipped) > LISTED:
        console.print(f'... and {len(skipped) - LISTED} more, all in {file}')
    if not found:
        raise UserError(
            f'none of the inputs could be used, {len(skipped)} were skipped'
        )
    if skipped:
        console.print(f'{len(found)} predicted, {len(skipped)} skipped')
    print_places({f'{len(found)} predictions': file, 'pictures': out / 'pictures'})


def class_names(
    cfg: Config, checkpoint: Mapping[str, Any], file: str | None
) -> list[str]:
    """Class names of the file, else of the checkpoint, the config or its data set.

    Raises:
        UserError: the file is missing.
    """
    if file is not None:
        if not Path(file).is_file():
            raise UserError(f'--classes {file}: no such file')
        return Path(file).read_text('utf-8').splitlines()
    meta = checkpoint.get('meta') or {}
    stored = meta.get('dataset_meta') or {}
    dataset = datasets(cfg, 'test')[0]
    with DATASETS.switch_scope_and_registry(cfg.default_scope) as registry:
        kind = registry.get(dataset.type)
    for source in (
        {key.lower(): value for key, value in stored.items()},
        {'classes': meta.get('CLASSES')},  # before OpenMMLab 2
        dataset.get('metainfo') or {},
        {'classes': _listed_classes(kind, dataset.get('classes'))},
        getattr(kind, 'METAINFO', {}),
    ):
        names = source.get('classes')
        if names:
            return [names] if isinstance(names, str) else [str(name) for name in names]
    return []


def _read(path: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise UserError(f'{path}: no such checkpoint')
    return read_checkpoint(path)


def _listed_classes(kind: type, classes: Any) -> Sequence[str] | None:
    """The classes that a data set is given; ours of clips know lists by name."""
    if isinstance(classes, str):
        return kind.list_classes(classes) if hasattr(kind, 'list_classes') else None
    return classes


def _detector(args: argparse.Namespace) -> tuple[str, str, int] | None:
    if args.det == 'whole_image':
        return None
    if read_config(args.det).get('default_scope') != 'mmdet':
        raise UserError(f'--det {args.det}: not a config of mmdet')
    if args.det_checkpoint is None:
        raise UserError('--det needs --det-checkpoint')
    _read(args.det_checkpoint)
    return args.det, args.det_checkpoint, args.det_class


def _unique_names(files: Iterable[Path]) -> dict[Path, str]:
    """A name for each file, which is its stem unless that is taken."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in files:
        name, number = path.stem, 2
        while name in taken:
            name, number = f'{path.stem}_{number}', number + 1
        taken.add(name)
        names[path] = name
    return names


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the libraries' warnings, which nobody here can act on, off the console."""
    if not MMLogger.check_instance_created('infer'):
        MMLogger.get_instance('infer', log_level=logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
