"""The runs of the pretraining study: each resumes where it stopped, none is repeated.

Below the work dir each run has a folder ``seedN/START``. Its ``scores.json`` has the
accuracy by step; the newest checkpoint is kept while the run lasts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from projects.common.errors import UserError
from projects.common.progress import ProgressHook
from projects.common.runner import DurableRunner, is_complete, newest_checkpoint
from projects.common.world.cache import demo_world
from projects.video.pretraining import Study
from projects.video.task import DEMO
from uniformer_backbones.weights.writing import whole_file

STARTS = ('scratch', 'center', 'average')


@dataclass(frozen=True)
class Scores:
    """What the runs of a study came to.

    Args:
        image: by seed, the share of its clips that the image model told by their
            middle frame.
        clips: by start and seed, the held-out accuracy by step.
    """

    image: Mapping[int, float]
    clips: Mapping[str, Mapping[int, Mapping[int, float]]]


class KeepScores(Hook):
    """Note every evaluation, and write a checkpoint that has it behind it."""

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        folder, step = Path(runner.work_dir), runner.iter
        # Scores first: a run that resumes from before them writes them again.
        scores = {**read_scores(folder), step: float((metrics or {})['acc/top1'])}
        write_json(folder / 'scores.json', scores)
        older = list(folder.glob('iter_*.pth'))
        going_on = step < runner.max_iters
        runner.save_checkpoint(
            str(folder),
            f'iter_{step}.pth',
            save_optimizer=going_on,
            save_param_scheduler=going_on,
            # mmengine would count the step as not yet done, and the epoch as done.
            meta={'iter': step, 'epoch': runner.epoch},
        )
        for path in older:
            path.unlink()


def run_study(study: Study, seeds: Sequence[int], work_dir: Path) -> Scores:
    """Do what is not done yet of a study.

    Raises:
        UserError: the work dir holds runs of another study.
        DemoWorldError: the demo clips cannot be written.
    """
    check_same(study, work_dir)
    counts = {'num_train': study.num_train, 'num_val': study.num_val}
    world = demo_world('kinetics', **{**DEMO, **counts})
    names = work_dir / 'frames.csv'
    clips = [
        line.rsplit(',', 1)[0] for line in (world / 'train.csv').read_text().split()
    ]
    clips = clips[: study.image_clips]
    names.write_text(''.join(f'{clip},{i}\n' for i, clip in enumerate(clips)))
    image, scores = {}, {start: {} for start in STARTS}
    for seed in seeds:
        folder = work_dir / f'seed{seed}'
        weights = folder / 'image' / f'iter_{study.image_steps}.pth'
        if not is_complete(weights):
            train(study.image_config(world, names), folder / 'image', seed)
        image[seed] = read_scores(folder / 'image')[study.image_steps]
        for start in STARTS:
            run = folder / start
            if study.steps not in read_scores(run):
                train(study.clip_config(world, init_from(weights, start)), run, seed)
            scores[start][seed] = read_scores(run)
            for checkpoint in run.glob('iter_*.pth'):
                checkpoint.unlink()
    return Scores(image, scores)


def init_from(weights: Path, start: str) -> dict[str, Any] | None:
    """``init_cfg`` of the backbone: an image checkpoint and the rule, or nothing."""
    if start == 'scratch':
        return None
    return dict(type='Pretrained', checkpoint=str(weights), inflate=start)


def train(cfg: Config, folder: Path, seed: int) -> None:
    """Run a config in its folder, or what is left of it."""
    cfg.work_dir = str(folder)
    cfg.experiment_name = f'{folder.parent.name}_{folder.name}'
    cfg.randomness = dict(seed=seed)
    newest = newest_checkpoint(folder)
    if newest is not None:
        cfg.resume, cfg.load_from = True, str(newest)
    init_default_scope(cfg.default_scope)
    runner = DurableRunner.from_cfg(cfg)
    progress = ProgressHook()
    runner.register_hook(progress)
    runner.register_hook(KeepScores())
    try:
        runner.train()
    finally:
        progress.stop()
        # At once: workers found later by the garbage collector take 5 s each to end.
        runner.train_loop.dataloader_iterator = None


def check_same(study: Study, work_dir: Path) -> None:
    """Refuse to mix two studies; note the settings of a new one.

    Raises:
        UserError: the work dir holds runs of other settings.
    """
    path = work_dir / 'settings.json'
    settings = asdict(study)
    if path.is_file():
        earlier = json.loads(path.read_text())
        other = [key for key in settings if settings[key] != earlier.get(key)]
        if other:
            was = ', '.join(f'{key}={earlier.get(key)}' for key in other)
            raise UserError(
                f'{work_dir}: holds runs with {was}; choose another --work-dir, or '
                'remove it'
            )
        return
    work_dir.mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def read_scores(folder: Path) -> dict[int, float]:
    """Accuracy by step of a run, so far."""
    path = folder / 'scores.json'
    if not path.is_file():
        return {}
    return {int(step): score for step, score in json.loads(path.read_text()).items()}


def write_json(path: Path, content: Any) -> None:
    """Write all of it or nothing."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(content, indent=1) + '\n')
