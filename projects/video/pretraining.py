"""What image pretraining gives a model of clips: the models and data of a study.

For each seed an image model learns to tell the frames of some training clips apart;
no labels are needed, and no frame gives its motion away. Models of clips of the same
arch then learn the motions, from random weights and from the image model's, inflated by
either rule, on the same clips in the same order with the same schedule.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

import projects.video  # noqa: F401 - registers what the configs below name
from projects.common.errors import UserError
from projects.common.world.clips import CLIP_CLASSES
from projects.video.task import DEMO
from uniformer_backbones.models.arch import find_arch

LENGTH = DEMO['num_frames']
MARGIN = 9 / 8  # short side of a frame, in sides of the crop


@dataclass(frozen=True)
class Study:
    """Sizes of the study; the defaults take 53 minutes on one core.

    Args:
        arch: of all models, a name of ``list_archs()``.
        steps: optimizer steps on clips.
        every: steps between two evaluations.
        image_steps: optimizer steps on frames.
        frames: of a clip, spread over all of the video.
        side: of clips and frames, in pixels.
        batch: clips of a step.
        image_batch: frames of a step.
        lr: the highest learning rate, the same for all models.
        num_train: clips to learn from.
        image_clips: of these, the ones whose frames the image model tells apart.
        num_val: held-out clips.
    """

    arch: str = 'small'
    steps: int = 240
    every: int = 60
    image_steps: int = 120
    frames: int = 8
    side: int = 32
    batch: int = 16
    image_batch: int = 32
    lr: float = 5e-4
    num_train: int = DEMO['num_train']
    num_val: int = DEMO['num_val']
    image_clips: int = 32

    def __post_init__(self) -> None:
        find_arch(self.arch)
        for name, value in asdict(self).items():
            if name != 'arch' and value <= 0:
                raise UserError(f'{name} must be positive, got {value}')
        if self.image_clips > self.num_train:
            raise UserError(
                f'image_clips is {self.image_clips}, of {self.num_train} training clips'
            )
        if self.side < 32:
            raise UserError(f'side must be at least 32 pixels, got {self.side}')
        if not 2 <= self.frames <= LENGTH:
            raise UserError(
                f'frames must be from 2 to {LENGTH}, the length of a demo clip, '
                f'got {self.frames}'
            )

    def clip_config(self, world: Path, init_cfg: dict[str, Any] | None) -> Config:
        """Config of a model of clips, which learns the motions."""
        view = [dict(type='Resize', scale=(-1, round(self.side * MARGIN)))]
        train = [*view, dict(type='RandomCrop', size=self.side)]
        val = [*view, dict(type='CenterCrop', crop_size=self.side)]
        return self._config(
            model=self._model(3, len(CLIP_CLASSES), init_cfg),
            train=_dataset(world, world / 'train.csv', self.frames, train, True),
            val=_dataset(world, world / 'val.csv', self.frames, val, False),
            batch=self.batch,
            steps=self.steps,
            every=self.every,
        )

    def image_config(self, world: Path, names: Path) -> Config:
        """Config of the image model.

        Args:
            world: the demo clips.
            names: list of training clips, each with its own number as the label.
        """
        train = [
            dict(type='RandomResizedCrop', area_range=(0.3, 1.0)),
            dict(type='Resize', scale=(self.side,) * 2, keep_ratio=False),
            dict(type='Flip', flip_ratio=0.5),
            # Else the mean brightness of a frame would nearly do.
            dict(type='ColorJitter', brightness=0.2, contrast=0.2),
        ]
        val = [
            dict(type='Resize', scale=(-1, round(self.side * MARGIN))),
            dict(type='CenterCrop', crop_size=self.side),
        ]
        return self._config(
            model=self._model(2, self.image_clips, None),
            train=_dataset(world, names, 1, train, True),
            val=_dataset(world, names, 1, val, False),
            batch=self.image_batch,
            steps=self.image_steps,
            every=self.image_steps,
        )

    def _model(
        self, ndim: int, num_classes: int, init_cfg: dict[str, Any] | None
    ) -> dict[str, Any]:
        return dict(
            type=f'Recognizer{ndim}D',
            backbone=dict(
                type='uniformer_backbones.UniFormer',
                arch=self.arch,
                ndim=ndim,
                init_cfg=init_cfg,
            ),
            cls_head=dict(
                type='ClipHead',
                num_classes=num_classes,
                in_channels=find_arch(self.arch).embed_dims[-1],
                topk=(1,),
            ),
            data_preprocessor=dict(
                type='ClipDataPreprocessor',
                format_shape='NCHW' if ndim == 2 else 'NCTHW',
            ),
        )

    def _config(
        self,
        model: dict[str, Any],
        train: dict[str, Any],
        val: dict[str, Any],
        batch: int,
        steps: int,
        every: int,
    ) -> Config:
        warmup = max(steps // 10, 1)
        metric = dict(
            type='AccMetric',
            metric_list='top_k_accuracy',
            metric_options=dict(top_k_accuracy=dict(topk=(1,))),
        )
        loader = dict(num_workers=2, batch_size=batch)
        return Config(
            dict(
                default_scope='mmaction',
                model=model,
                train_dataloader=dict(
                    **loader,
                    dataset=train,
                    drop_last=True,
                    sampler=dict(type='InfiniteSampler', shuffle=True),
                ),
                val_dataloader=dict(
                    **loader,
                    dataset=val,
                    sampler=dict(type='DefaultSampler', shuffle=False),
                ),
                val_evaluator=metric,
                train_cfg=dict(
                    type='IterBasedTrainLoop', max_iters=steps, val_interval=every
                ),
                val_cfg=dict(type='ValLoop'),
                optim_wrapper=dict(
                    optimizer=dict(type='AdamW', lr=self.lr, weight_decay=0.05),
                    paramwise_cfg=dict(
                        norm_decay_mult=0, bias_decay_mult=0, flat_decay_mult=0
                    ),
                    clip_grad=dict(max_norm=20),
                ),
                param_scheduler=[
                    dict(
                        type='LinearLR', start_factor=0.01, by_epoch=False, end=warmup
                    ),
                    dict(
                        type='CosineAnnealingLR',
                        by_epoch=False,
                        begin=warmup,
                        T_max=max(steps - warmup, 1),
                    ),
                ],
                # KeepScores writes the checkpoints.
                default_hooks=dict(
                    checkpoint=None, logger=dict(type='LoggerHook', interval=25)
                ),
                log_processor=dict(by_epoch=False),
            )
        )


def _dataset(
    world: Path, names: Path, frames: int, view: list[dict[str, Any]], train: bool
) -> dict[str, Any]:
    """Videos of a list, ``frames`` of each over all its length, or one anywhere."""
    sample = dict(
        type='DenseSample',
        clip_len=frames,
        stride=LENGTH // frames if frames > 1 else 1,
        test_mode=not train,
    )
    return dict(
        type='VideoListDataset',
        ann_file=str(names),
        data_prefix=dict(video=str(world)),
        test_mode=not train,
        sample=sample,
        pipeline=[
            *view,
            dict(type='FormatShape', input_format='NCHW' if frames == 1 else 'NCTHW'),
            dict(type='PackActionInputs'),
        ],
    )
