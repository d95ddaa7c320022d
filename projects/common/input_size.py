"""The size that a config's test pipeline makes of its inputs."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from projects.common.errors import UserError
from projects.common.task import datasets, transforms

# What mmdet's (1333, 800) makes of most images; published FLOPs are for this size.
COCO_SCALE, COCO_SIZE = (1333, 800), (800, 1280)
CROPS = ('CenterCrop', 'ThreeCrop', 'TenCrop')


def config_name(cfg: Config) -> str:
    """What to call a config in a message."""
    return cfg.filename or 'config'


def default_size(cfg: Config) -> tuple[int, ...]:
    """Sides of one input: ``(H, W)``, or ``(T, H, W)`` of one clip.

    Raises:
        UserError: the scope is none of the five libraries, or the test pipeline does
            not tell.
    """
    finders = {
        'mmdet': _detection,
        'mmseg': _segmentation,
        'mmpose': _pose,
        'mmpretrain': _classification,
        'mmaction': _video,
    }
    scope = cfg.get('default_scope')
    if scope not in finders:
        raise UserError(f'default_scope {scope!r} is none of {", ".join(finders)}')
    try:
        return finders[scope](cfg)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f'{config_name(cfg)}: its test pipeline names no input size; give --shape'
        ) from error


def full_size(cfg: Config, size: Sequence[int]) -> tuple[int, ...]:
    """Complete a size given by hand: one side stands for a square.

    Raises:
        UserError: too few or too many numbers, or one that is not positive.
    """
    sides = tuple(size)
    lead = 1 if cfg.get('default_scope') == 'mmaction' else 0
    if len(sides) == lead + 1:
        sides += sides[-1:]
    if len(sides) != lead + 2 or min(sides) < 1:
        wanted = 'FRAMES HEIGHT WIDTH' if lead else 'HEIGHT WIDTH'
        raise UserError(f'--shape {" ".join(map(str, size))}: needs {wanted}')
    return sides


def _find(cfg: Config, names: Sequence[str], *keys: str) -> Any:
    """First of some keys in the first of some transforms of the test pipeline."""
    for split in ('test', 'val'):
        for dataset in datasets(cfg, split):
            steps = {step['type'].split('.')[-1]: step for step in _steps(dataset)}
            for name in names:
                for key in keys:
                    if steps.get(name, {}).get(key) is not None:
                        return steps[name][key]
    return None


def _steps(dataset: Any) -> list[Any]:
    steps = transforms(dataset.get('pipeline', []))
    steps += [dataset['sample']] if dataset.get('sample') else []
    steps += [step['sample'] for step in steps if isinstance(step.get('sample'), dict)]
    return [step for step in steps if isinstance(step.get('type'), str)]


def _pair(side: Any) -> tuple[int, int]:
    """``(H, W)`` of a crop given as one side or as ``(H, W)``."""
    return (side, side) if isinstance(side, int) else (int(side[0]), int(side[1]))


def _detection(cfg: Config) -> tuple[int, ...]:
    scale = tuple(_find(cfg, ('Resize', 'FixScaleResize'), 'scale') or COCO_SCALE)
    return COCO_SIZE if scale == COCO_SCALE else _pair(scale[::-1])


def _segmentation(cfg: Config) -> tuple[int, ...]:
    scale = _find(cfg, ('Resize',), 'scale')
    if scale is not None:
        return _pair(scale if isinstance(scale, int) else scale[::-1])
    return _pair(cfg.get('crop_size') or cfg.model.data_preprocessor['size'])


def _pose(cfg: Config) -> tuple[int, ...]:
    size = _find(cfg, ('TopdownAffine', 'BottomupResize'), 'input_size')
    return _pair(size[::-1])


def _classification(cfg: Config) -> tuple[int, ...]:
    side = _find(cfg, ('CenterCrop',), 'crop_size')
    if side is None:
        side = _find(cfg, ('Resize', 'ResizeEdge'), 'scale')
    return _pair(side)


def _video(cfg: Config) -> tuple[int, ...]:
    names = ('SampleFrames', 'DenseSample', 'SegmentSample', 'DenseSampleFrames')
    per_clip = _find(cfg, names, 'clip_len') or 1
    clips = _find(cfg, names, 'num_clips') or 1
    frames = clips if cfg.model.type.endswith('Recognizer2D') else per_clip
    side = _find(cfg, CROPS, 'crop_size')
    if side is None:
        width, height = _find(cfg, ('Resize',), 'scale')
        side = (height, max(width, height) if width == -1 else width)
    return (frames, *_pair(side))
