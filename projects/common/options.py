"""Command-line options that the tools share, and what they do to a config."""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import print_log

from projects.common.distributed import use_gloo_on_cpu
from projects.common.errors import UserError
from projects.common.runner import newest_checkpoint
from projects.common.task import need_task


class Overrides(DictAction):
    """``KEY=VALUE`` pairs; anything else is a usage error."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Parse the pairs as mmengine does."""
        try:
            super().__call__(parser, namespace, values, option_string)
        except (ValueError, AssertionError):
            parser.error(
                f'{option_string}: KEY=VALUE is needed, with brackets in pairs; got '
                f'{" ".join(values)}'
            )


def positive(text: str) -> int:
    """Type of an option that counts something."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f'must be a whole number above 0, got {text}')
    return int(text)


def check_device(name: str) -> None:
    """Refuse a device that is not there.

    Raises:
        UserError: as said.
    """
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f'--device {name}: there is no such device') from error


def base_parser(description: str | None, checkpoint: bool) -> argparse.ArgumentParser:
    """Parser with CONFIG, optionally CHECKPOINT, and the options every tool has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file, e.g. one of configs/')
    if checkpoint:
        parser.add_argument('checkpoint', help='.pth or .safetensors file')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Overrides,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config',
    )
    parser.add_argument(
        '--debug', action='store_true', help='show tracebacks of user errors'
    )
    return parser


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of the tools that run a model over data."""
    parser.add_argument(
        '--work-dir',
        help='where logs, checkpoints and pictures go (default: work_dirs/CONFIG)',
    )
    parser.add_argument(
        '--demo', action='store_true', help='a short run on generated data'
    )
    parser.add_argument(
        '--data',
        metavar='FOLDER',
        help="your own data, laid out as the task's README says",
    )
    parser.add_argument(
        '--quick',
        nargs='?',
        type=positive,
        const=0,
        metavar='SIDE',
        help='a short run on small images of that short side; a demo always is',
    )
    parser.add_argument('--steps', type=positive, help='optimizer steps of a short run')
    parser.add_argument(
        '--strict',
        action='store_true',
        help='end at the first video that cannot be read instead of replacing it',
    )
    parser.add_argument(
        '--amp',
        choices=['bf16', 'fp16'],
        help='mixed precision; bf16 works on a CPU too',
    )
    parser.add_argument(
        '--compile', action='store_true', help='torch.compile the backbone'
    )
    parser.add_argument('--seed', type=int, help='seed of every generator')
    parser.add_argument(
        '--deterministic', action='store_true', help='deterministic kernels'
    )
    parser.add_argument(
        '--launcher', default='none', choices=['none', 'pytorch', 'slurm', 'mpi']
    )
    # Launchers older than torchrun pass it; torchrun sets LOCAL_RANK instead.
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS
    )


def read_config(path: str) -> Config:
    """Read a config file.

    Raises:
        UserError: there is no such file, or it is no config.
    """
    if not Path(path).is_file():
        raise UserError(f'{path}: no such config; see configs/')
    if Path(path).suffix not in ('.py', '.json', '.yaml', '.yml'):
        raise UserError(f'{path}: not a config; a .py, .json or .yaml file is needed')
    try:
        return Config.fromfile(path)
    except Exception as error:
        raise UserError(
            f'{path}: cannot be read as a config: {type(error).__name__}: {error}'
        ) from error


def apply_run_options(cfg: Config, args: argparse.Namespace) -> None:
    """Apply the shared options to a config; ``--cfg-options`` have the last word.

    Raises:
        UserError: an option does not fit the config or the machine.
    """
    if args.demo and args.data:
        raise UserError('--demo and --data: choose one, a demo brings its own data')
    if args.demo:
        task = need_task(cfg, '--demo')
        task.use_folder(cfg, task.demo_folder())
    elif args.data:
        need_task(cfg, '--data').use_folder(cfg, Path(args.data))
    if args.demo or args.quick is not None:
        need_task(cfg, '--quick').shrink(cfg, args.quick or None, args.steps)
    elif args.steps is not None:
        raise UserError('--steps: is for short runs; add --quick or --demo')
    if args.strict:
        need_task(cfg, '--strict').be_strict(cfg)
    cfg.work_dir = (
        args.work_dir
        or cfg.get('work_dir')
        or str(
            Path('work_dirs')
            / (Path(args.config).stem + ('_demo' if args.demo else ''))
        )
    )
    if args.seed is not None or args.deterministic:
        randomness = dict(cfg.get('randomness') or {'seed': None})
        if args.seed is not None:
            randomness['seed'] = args.seed
        randomness['deterministic'] = args.deterministic
        cfg.randomness = randomness
    cfg.launcher = args.launcher
    cfg.merge_from_dict(args.cfg_options)
    use_gloo_on_cpu(cfg)


def apply_resume(cfg: Config, resume: str | None) -> None:
    """Continue from a checkpoint.

    Args:
        cfg: the config, its ``work_dir`` set.
        resume: a file, a folder, or ``'auto'`` for the newest in the work dir;
            ``None`` starts afresh.

    Raises:
        UserError: there is nothing to continue from.
    """
    if resume is None:
        return
    path = Path(cfg.work_dir if resume == 'auto' else resume)
    if path.is_dir() or resume == 'auto':
        found = newest_checkpoint(path)
        if found is None and resume == 'auto':
            print_log(
                f'--resume: {path} holds no complete checkpoint, starting from '
                'the beginning',
                logger='current',
            )
            return
        if found is None:
            raise UserError(f'--resume {path}: holds no complete checkpoint')
        path = found
    if not path.is_file():
        raise UserError(f'--resume {path}: no such checkpoint')
    cfg.resume, cfg.load_from = True, str(path)


def apply_init(cfg: Config, init: str | None, demo: bool) -> None:
    """Choose the weights that the backbone, or the whole model, starts from.

    Args:
        cfg: the config.
        init: ``'none'``, a file, or ``None`` for what the config names.
        demo: a demo starts from nothing unless told otherwise.

    Raises:
        UserError: the file that the config or ``--init`` names does not exist.
    """
    backbone = cfg.model.get('backbone') or {}
    # Fine-tuning a classifier goes on with its heads.
    whole = (cfg.model.get('init_cfg') or {}).get('type') == 'Pretrained'
    part = cfg.model if whole else backbone
    if init == 'none' or (demo and init is None):
        part['init_cfg'] = None
        return
    if init is not None:
        if not Path(init).is_file():
            raise UserError(f'--init {init}: no such file')
        kept = part.get('init_cfg') or {}
        kept = kept if kept.get('type') == 'Pretrained' else {}
        part['init_cfg'] = {**kept, 'type': 'Pretrained', 'checkpoint': init}
        return
    init_cfg = part.get('init_cfg')
    is_ours = str(backbone.get('type')).startswith('uniformer_backbones.')
    if not (is_ours and init_cfg) or cfg.get('resume') or cfg.get('load_from'):
        return
    path = init_cfg.get('checkpoint', '')
    if '://' not in path and not Path(path).is_file():
        raise UserError(
            f'{path}: missing. It holds the weights that this config starts from.\n'
            f'Download {Path(path).name} from the official UniFormer release to '
            f'{path}.\n'
            'Or start from another file with --init FILE, or from random weights with '
            '--init none.'
        )
