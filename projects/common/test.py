"""The steps of an evaluation, between the command line and mmengine's Runner."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process

from projects.common.errors import UserError
from projects.common.options import apply_run_options
from projects.common.precision import use_test_precision
from projects.common.results import print_metrics, print_places
from projects.common.runner import DurableRunner
from projects.common.task import datasets, find_task
from projects.common.train import build_runner
from uniformer_backbones.compat.checkpoint import read_checkpoint


def prepare(cfg: Config, args: argparse.Namespace) -> None:
    """Turn a config and the command line into what will run; check it first.

    Raises:
        UserError: in a few lines, before anything is written.
    """
    apply_run_options(cfg, args)
    if not cfg.get('test_dataloader'):
        raise UserError(f'{args.config}: has no test_dataloader')
    use_test_precision(cfg, args.amp)
    task = find_task(cfg)
    if task is not None:
        task.check_data(cfg, ('test',))
    if not Path(args.checkpoint).is_file():
        raise UserError(f'{args.checkpoint}: no such checkpoint')
    read_checkpoint(args.checkpoint)
    if cfg.model.get('backbone'):
        cfg.model.backbone.init_cfg = None  # the checkpoint holds everything
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.tta:
        use_tta(cfg)


def use_tta(cfg: Config) -> None:
    """Predict from several versions of each input, as the config says which.

    Raises:
        UserError: it does not say.
    """
    if not (cfg.get('tta_pipeline') and cfg.get('tta_model')):
        raise UserError('--tta: the config has no tta_pipeline and tta_model')
    for dataset in datasets(cfg, 'test'):
        dataset.pipeline = cfg.tta_pipeline
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)


def build_tester(cfg: Config, compiled: bool) -> DurableRunner:
    """Build a Runner that only tests.

    Raises:
        UserError: there is no backbone to compile.
    """
    for key in (
        'train_dataloader',
        'train_cfg',
        'optim_wrapper',
        'param_scheduler',
        'val_dataloader',
        'val_cfg',
        'val_evaluator',
    ):
        cfg[key] = None
    return build_runner(cfg, compiled)


def show_metrics(
    runner: DurableRunner, metrics: Mapping[str, float], pictures: str | None
) -> None:
    """Print the metrics and, if asked, draw pictures into a folder."""
    if not is_main_process():
        return
    task = find_task(runner.cfg)
    print_metrics(task, metrics, 'Test results')
    places = {'log': Path(runner._log_dir)}
    if pictures and task is not None:
        files = task.draw(runner.model, runner.test_dataloader.dataset, Path(pictures))
        places[f'{len(files)} pictures'] = Path(pictures)
    print_places(places)
