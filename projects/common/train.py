"""The steps of a training run, between the command line and mmengine's Runner."""

import argparse
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope

# Configs name what these register.
from projects.common import checkpoints, layer_decay, schedule  # noqa: F401
from projects.common.errors import UserError
from projects.common.options import apply_init, apply_resume, apply_run_options
from projects.common.pictures import loss_curve
from projects.common.precision import apply_precision
from projects.common.progress import ProgressHook
from projects.common.results import print_metrics, print_places
from projects.common.runner import DurableRunner, keep_earlier_run
from projects.common.task import find_task


def prepare(cfg: Config, args: argparse.Namespace) -> None:
    """Turn a config and the command line into what will run; check it first.

    Raises:
        UserError: in a few lines, before anything is written.
    """
    apply_run_options(cfg, args)
    apply_resume(cfg, args.resume)
    apply_precision(cfg, args.amp)
    task = find_task(cfg)
    if task is not None:
        task.check_data(cfg, ('train', 'val'))
    apply_init(cfg, args.init, args.demo)
    if args.auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise UserError(
                '--auto-scale-lr: the config has no '
                'auto_scale_lr.base_batch_size to scale from'
            )
        cfg.auto_scale_lr.enable = True
    if not (cfg.get('resume') or args.demo):
        keep_earlier_run(Path(cfg.work_dir))


def build_runner(cfg: Config, compiled: bool) -> DurableRunner:
    """Build the Runner with its model.

    Args:
        cfg: a prepared config.
        compiled: compile the backbone in place; state-dict keys stay.

    Raises:
        UserError: there is no backbone to compile.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    runner = DurableRunner.from_cfg(cfg)
    runner.register_hook(ProgressHook())
    if compiled:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not hasattr(model, 'backbone'):
            raise UserError('--compile: the model has no backbone')
        model.backbone.compile()
    return runner


def show_results(runner: DurableRunner, probed: bool) -> None:
    """Print the metrics and where everything is; draw the loss curve and pictures.

    Args:
        runner: after training.
        probed: whether to ask the task for what only generated data can show.
    """
    if not is_main_process():
        return
    task, work_dir = find_task(runner.cfg), Path(runner.work_dir)
    log_dir = Path(runner._log_dir)
    metrics = {
        key.removeprefix('val/'): buffer.current()
        for key, buffer in runner.message_hub.log_scalars.items()
        if key.startswith('val/') and buffer.data[0].size
    }
    probes = {}
    if probed and task is not None:
        probes = task.probe(runner.model, runner.val_dataloader.dataset)
    print_metrics(task, metrics, 'Held-out results', probes)
    places = {
        'checkpoint': runner.message_hub.runtime_info.get('last_ckpt'),
        'loss curve': loss_curve(
            log_dir / 'vis_data/scalars.json', work_dir / 'curve.png'
        ),
        'log': log_dir,
    }
    if task is not None:
        task.draw(runner.model, runner.val_dataloader.dataset, work_dir / 'pictures')
        places['pictures'] = work_dir / 'pictures'
    print_places(places)
