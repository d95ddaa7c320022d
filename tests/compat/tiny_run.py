"""A run of mmengine's Runner in milliseconds, for the tests of checkpoints."""

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Regression(BaseModel):
    """One weight learns to triple."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(1, 1)
        self.norm = torch.nn.BatchNorm1d(1)

    def forward(self, x, y, mode='tensor'):
        out = self.norm(self.linear(x))
        return {'loss': (out - y).square().mean()} if mode == 'loss' else out


class Triples(torch.utils.data.Dataset):
    """Four pairs, with the kinds of metainfo that the task libraries keep."""

    def __init__(self):
        self.metainfo = {
            'classes': ('cat', 'dog'),
            'sigmas': np.array([0.1, 0.2], dtype=np.float32),
            'palette': [np.uint8(3)],
            'skeleton': ConfigDict(links=[(0, 1)], nested=ConfigDict(color=1)),
        }

    def __len__(self):
        return 4

    def __getitem__(self, index):
        x = torch.full((2,), float(index))[:1]
        return {'x': x, 'y': 3 * x}


# `end` is given, because the default is the length of the run, and a resumed scheduler
# keeps the value of its file: the tests resume a shorter run.
SCHEDULERS = {
    'multi_step': {'type': 'MultiStepLR', 'milestones': [3, 6]},
    'one_cycle_cos': {'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 12},
    'one_cycle_linear': {
        **{'type': 'OneCycleLR', 'eta_max': 0.1, 'total_steps': 12},
        'anneal_strategy': 'linear',
    },
    'warm_up': {'type': 'LinearLR', 'start_factor': 0.1},
    'poly': {'type': 'PolyLR', 'eta_min': 0.0},
    'restart': {
        **{'type': 'CosineRestartLR', 'periods': [6, 6], 'eta_min': 0.0},
        'restart_weights': [1, 0.5],
    },
}


def make_runner(folder, by_epoch, length, scheduler='multi_step', resume=False, **more):
    torch.manual_seed(0)
    sampler = 'DefaultSampler' if by_epoch else 'InfiniteSampler'
    loop = {'by_epoch': True, 'max_epochs': length}
    if not by_epoch:
        loop = {'by_epoch': False, 'max_iters': length}
    hook = {'type': 'CheckpointHook', 'interval': 1, 'by_epoch': by_epoch}
    return Runner(
        model=Regression(),
        work_dir=str(folder),
        train_dataloader={
            'dataset': Triples(),
            'batch_size': 2,
            'num_workers': 0,
            'collate_fn': {'type': 'default_collate'},
            'sampler': {'type': sampler, 'shuffle': False},
        },
        train_cfg=loop,
        optim_wrapper={'optimizer': {'type': 'Adam', 'lr': 0.05}},
        param_scheduler=[{**SCHEDULERS[scheduler], 'by_epoch': False, 'end': 12}],
        default_hooks={'checkpoint': hook},
        custom_hooks=[{'type': 'EMAHook', 'momentum': 0.2}],
        resume=resume,
        experiment_name=f'{folder}-{length}-{resume}'.replace('/', '-'),
        log_level='ERROR',
        cfg=Config({'answer': 42}),
        default_scope='mmengine',
        **more,
    )
