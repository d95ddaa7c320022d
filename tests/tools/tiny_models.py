"""One tiny model of each library, with inputs, for the tests of inference."""

import json

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from tests.tiny import randomise

ARCH = {'depths': (1, 1, 1, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}
UNIFORMER = {'type': 'uniformer_backbones.UniFormer', 'arch': ARCH}
DENSE = {**UNIFORMER, 'out_indices': (0, 1, 2, 3), 'out_norm': 'layer'}
NAMES = ('apple', 'banana', 'cherry')
# Options with which a random detector finds something.
EVERY_BOX = (
    '--score-thr=0',
    '--cfg-options',
    'model.test_cfg.rcnn.score_thr=0',
    'model.test_cfg.rcnn.max_per_img=5',
)


def pipeline(*steps):
    return [{'type': name, **arguments} for name, arguments in steps]


def config(scope, model, dataset, steps):
    loader = {'dataset': {'type': dataset, 'pipeline': pipeline(*steps)}}
    return {'default_scope': scope, 'model': model, 'test_dataloader': loader}


CLS = config(
    'mmpretrain',
    {
        'type': 'ImageClassifier',
        'backbone': UNIFORMER,
        'neck': {'type': 'GlobalAveragePooling'},
        'head': {'type': 'LinearClsHead', 'num_classes': 3, 'in_channels': 32},
        'data_preprocessor': {'mean': [120.0] * 3, 'std': [60.0] * 3, 'to_rgb': True},
    },
    'CustomDataset',
    [
        ('LoadImageFromFile', {}),
        ('ResizeEdge', {'scale': 64}),
        ('CenterCrop', {'crop_size': 64}),
        ('PackInputs', {}),
    ],
)
SEG = config(
    'mmseg',
    {
        'type': 'EncoderDecoder',
        'backbone': DENSE,
        'decode_head': {
            'type': 'FCNHead',
            'in_channels': 8,
            'in_index': 0,
            'channels': 8,
            'num_classes': 3,
            'norm_cfg': {'type': 'SyncBN'},
        },
        'data_preprocessor': {'type': 'SegDataPreProcessor', 'bgr_to_rgb': True},
        'test_cfg': {'mode': 'whole'},
    },
    'ADE20KDataset',
    [
        ('LoadImageFromFile', {}),
        ('Resize', {'scale': (96, 64), 'keep_ratio': True}),
        ('LoadAnnotations', {}),
        ('PackSegInputs', {}),
    ],
)
CODEC = {
    'type': 'MSRAHeatmap',
    'input_size': (64, 64),
    'heatmap_size': (16, 16),
    'sigma': 2,
}
POSE = config(
    'mmpose',
    {
        'type': 'TopdownPoseEstimator',
        'backbone': {**UNIFORMER, 'out_norm': 'layer'},
        'head': {
            'type': 'HeatmapHead',
            'in_channels': 32,
            'out_channels': 3,
            'deconv_out_channels': (8, 8, 8),
            'deconv_kernel_sizes': (4, 4, 4),
            'decoder': CODEC,
        },
        'data_preprocessor': {'type': 'PoseDataPreprocessor'},
        'test_cfg': {'flip_test': False},
    },
    'CocoDataset',
    [
        ('LoadImage', {}),
        ('GetBBoxCenterScale', {}),
        ('TopdownAffine', {'input_size': CODEC['input_size']}),
        ('PackPoseInputs', {}),
    ],
)
VIDEO = config(
    'mmaction',
    {
        'type': 'Recognizer3D',
        'backbone': {**UNIFORMER, 'ndim': 3},
        'cls_head': {'type': 'ClipHead', 'num_classes': 3, 'in_channels': 32},
        'data_preprocessor': {
            'type': 'ActionDataPreprocessor',
            'mean': [120.0] * 3,
            'std': [60.0] * 3,
            'format_shape': 'NCTHW',
        },
    },
    'VideoDataset',
    [
        ('DecordInit', {}),
        ('SampleFrames', {'clip_len': 4, 'frame_interval': 2, 'num_clips': 2}),
        ('DecordDecode', {}),
        ('Resize', {'scale': (-1, 64)}),
        ('CenterCrop', {'crop_size': 64}),
        ('FormatShape', {'input_format': 'NCTHW'}),
        ('PackActionInputs', {}),
    ],
)
VIDEO['custom_imports'] = {'imports': ['projects.video']}


def write_photo(folder):
    """A picture of 90 x 60 pixels of noise."""
    file = folder / 'photo.png'
    noise = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
    cv2.imwrite(str(file), noise)
    return file


def write_clip(folder):
    """A video of 12 frames of 96 x 80 pixels."""
    file = folder / 'clip.mp4'
    video = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*'mp4v'), 10, (96, 80))
    for number in range(12):
        video.write(np.full((80, 96, 3), 20 * number, np.uint8))
    video.release()
    return file


def prepare(folder, content, meta):
    """A config file and a checkpoint of its model with random weights."""
    cfg = Config(content)
    cfg.dump(folder / 'config.py')
    cfg = Config.fromfile(folder / 'config.py')
    return folder / 'config.py', save(folder / 'weights.pth', cfg, meta)


def save(path, cfg, meta):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = randomise(MODELS.build(cfg.model))
    torch.save({'meta': {'dataset_meta': meta}, 'state_dict': model.state_dict()}, path)
    return path


def save_detector(config, folder):
    """A checkpoint of the tiny detector with random weights."""
    torch.manual_seed(0)
    cfg = Config.fromfile(config)
    cfg.model.backbone.init_cfg = None
    names = [f'thing {i}' for i in range(80)]
    return save(folder / 'det.pth', cfg, {'CLASSES': names})


def read(out):
    """What the tool wrote."""
    return json.loads((out / 'predictions.json').read_text())
