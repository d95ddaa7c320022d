"""What the tools need to know of a task, and nothing of it is repeated elsewhere.

A task is found by the ``default_scope`` of its configs. It says how a config is pointed
at a folder of data, how it becomes a short demo run, and how its results are shown.
Demo and own data go the same way: the demo is a folder of generated data.
"""

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from torch import nn

from projects.common.errors import UserError

TASKS = {
    'mmdet': 'projects.det.task',
    'mmaction': 'projects.video.task',
    'mmpretrain': 'projects.cls.task',
    'mmseg': 'projects.seg.task',
    'mmpose': 'projects.pose.task',
}


class Task(ABC):
    """One task of one library.

    Attributes:
        name: folder name in ``projects/`` and ``configs/``.
        metrics: result keys worth a line in the table, with their titles.
    """

    name: str
    metrics: dict[str, str]

    @abstractmethod
    def demo_folder(self) -> Path:
        """Generate the demo data (cached) and say where it is."""

    @abstractmethod
    def use_folder(self, cfg: Config, folder: Path) -> None:
        """Point every dataset, evaluator and head of a config at a folder of data.

        Raises:
            UserError: the folder is not laid out as the task's README says.
        """

    @abstractmethod
    def shrink(self, cfg: Config, side: int | None, steps: int | None) -> None:
        """Turn a config into a short run on small images; never another model.

        Args:
            cfg: a config whose data exist.
            side: short side of the images in pixels; ``None`` for the task's own.
            steps: optimizer steps of the run; ``None`` for the task's own.
        """

    def be_strict(self, cfg: Config) -> None:
        """End at the first file that cannot be read, where others replace it.

        Raises:
            UserError: nothing is ever replaced in this task.
        """
        raise UserError(f'--strict: {self.name} never replaces a file')

    @abstractmethod
    def check_data(self, cfg: Config, splits: tuple[str, ...]) -> None:
        """Find missing or unusable data before the first step.

        Args:
            cfg: the config as it will run.
            splits: ``'train'``, ``'val'`` and/or ``'test'``.

        Raises:
            UserError: with what is missing and how to lay it out.
        """

    @abstractmethod
    def draw(self, model: nn.Module, dataset: BaseDataset, folder: Path) -> list[Path]:
        """Draw predictions beside the truth into a folder; returns the files."""

    def probe(self, model: nn.Module, dataset: BaseDataset) -> dict[str, float]:
        """Measure what a demo is to prove beside its metrics: figures by title."""
        return {}


def find_task(cfg: Config) -> Task | None:
    """The task of a config, ``None`` when the project has none for its scope."""
    module = TASKS.get(cfg.get('default_scope'))
    return import_module(module).TASK if module else None


def need_task(cfg: Config, option: str) -> Task:
    """The task of a config, for an option that cannot do without.

    Raises:
        UserError: the config's scope has no task here.
    """
    task = find_task(cfg)
    if task is None:
        raise UserError(
            f'{option}: there is no demo or own-data support for default_scope '
            f'{cfg.get("default_scope")!r}; known: {", ".join(TASKS)}'
        )
    return task


def datasets(cfg: Config, split: str) -> list[Any]:
    """Innermost dataset dicts of a split, out of wrappers such as RepeatDataset."""
    loader = cfg.get(f'{split}_dataloader')
    pending, found = [loader['dataset']] if loader else [], []
    while pending:
        dataset = pending.pop()
        inner = dataset.get('dataset') or dataset.get('datasets')
        if inner is None:
            found.append(dataset)
        else:
            pending += inner if isinstance(inner, list) else [inner]
    return found


def fit_to_steps(cfg: Config, length: int, batch: int, steps: int) -> int:
    """Make a run of about some steps last one to three epochs.

    A small training set is repeated, a large one cut.

    Args:
        cfg: the config; its training set is wrapped in RepeatDataset or cut.
        length: number of its samples.
        batch: samples a step.
        steps: optimizer steps of the whole run.

    Returns:
        Epochs that make about that many steps.
    """
    wanted = batch * steps
    if length > wanted:
        for dataset in datasets(cfg, 'train'):
            dataset.indices = wanted
        return 1
    times = max(1, round(wanted / 3 / length))
    if times > 1:
        loader = cfg.train_dataloader
        loader.dataset = ConfigDict(
            type='RepeatDataset', times=times, dataset=loader.dataset
        )
    return max(1, round(steps / max(1, times * length // batch)))


def use_short_schedule(
    cfg: Config, lr: float, warmup: int, epochs: int, max_norm: float
) -> None:
    """Train some epochs with AdamW and evaluate once, at the end.

    Args:
        cfg: what is changed.
        lr: the highest rate; a hundredth of it is the lowest.
        warmup: steps of linear rise; a cosine over the epochs is laid over it.
        epochs: to train.
        max_norm: to which gradients are clipped.
    """
    cfg.train_cfg = ConfigDict(
        type='EpochBasedTrainLoop', max_epochs=epochs, val_interval=epochs
    )
    cfg.optim_wrapper.optimizer = ConfigDict(
        type='AdamW', lr=lr, weight_decay=0.05, fused=True
    )
    cfg.optim_wrapper.clip_grad = ConfigDict(max_norm=max_norm)
    cfg.param_scheduler = [
        ConfigDict(type='LinearLR', start_factor=0.01, by_epoch=False, end=warmup),
        ConfigDict(
            type='CosineAnnealingLR',
            eta_min=lr / 100,
            by_epoch=True,
            T_max=epochs,
            convert_to_iter_based=True,
        ),
    ]


def no_data(missing: str, layout: str) -> UserError:
    """What to say where the data of a config are not there.

    Args:
        missing: path and what it is, as in ``'data/x.json: no such annotation file'``.
        layout: where the files belong, in indented lines.
    """
    return UserError(
        f'{missing}. Lay the data out as\n{layout}\n'
        'or name your own folder with --data FOLDER, or add --demo for a short run '
        'on generated data.'
    )


def set_everywhere(node: Any, key: str, value: Any) -> None:
    """Set every occurrence of a key inside nested dicts and lists."""
    if isinstance(node, dict):
        if key in node:
            node[key] = value
        node = node.values()
    elif not isinstance(node, list | tuple):
        return
    for child in node:
        set_everywhere(child, key, value)


def transforms(pipeline: Any) -> list[Any]:
    """Every transform dict of a pipeline, nested choices included."""
    found = []
    if isinstance(pipeline, dict):
        found.append(pipeline)
        pipeline = pipeline.get('transforms', [])
    for item in pipeline:
        found += transforms(item)
    return found
