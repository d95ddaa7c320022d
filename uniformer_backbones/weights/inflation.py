"""Inflation: image weights for a model of clips.

arXiv:2201.04676, section 4.1: a 2D kernel is repeated along time. The official rule
divides by the temporal size (``'average'``); ``'center'`` puts the kernel at the
middle frame and zeros elsewhere (MMAction2's default).
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from uniformer_backbones.weights.keys import is_required

MODES = ('average', 'center')
ANOTHER = 'the checkpoint is of another arch'


def check_mode(mode: str) -> str:
    """Return ``mode`` if it is a rule of inflation.

    Raises:
        ValueError: anything else.
    """
    if mode not in MODES:
        raise ValueError(
            f'inflation mode must be one of {", ".join(MODES)}, got {mode!r}'
        )
    return mode


def fits_inflated(source: torch.Size, target: torch.Size) -> bool:
    """Whether a 2D tensor differs from a 3D one by the time axis (axis 2) alone."""
    return (
        len(source) == 4
        and len(target) == 5
        and source[:2] == target[:2]
        and source[2:] == target[3:]
    )


def inflate_kernel(weight: Tensor, frames: int, mode: str = 'average') -> Tensor:
    """Give a 2D kernel a time axis.

    Args:
        weight: ``(O, I, kh, kw)``, or a layer-scale vector ``(1, C, 1, 1)``.
        frames: temporal size of the result.
        mode: ``'average'`` or ``'center'``.

    Returns:
        ``(O, I, frames, kh, kw)``; its sum over time is ``weight`` in both modes.

    Raises:
        ValueError: ``mode`` is unknown, or ``weight`` has not four axes.

    Examples:
        >>> inflate_kernel(torch.ones(1, 1, 1, 1), 3, 'center').flatten().tolist()
        [0.0, 1.0, 0.0]
    """
    check_mode(mode)
    if weight.dim() != 4:
        raise ValueError(f'a 2D kernel has four axes, got {tuple(weight.shape)}')
    weight = weight.unsqueeze(2)
    if mode == 'average':
        return weight.repeat(1, 1, frames, 1, 1) / frames
    inflated = weight.new_zeros(*weight.shape[:2], frames, *weight.shape[3:])
    inflated[:, :, frames // 2] = weight[:, :, 0]
    return inflated


def inflate_state_dict(
    state_dict: Mapping[str, Tensor], model: nn.Module, mode: str = 'average'
) -> dict[str, Tensor]:
    """Inflate the kernels of an image model to those of a model of clips.

    Args:
        state_dict: weights of the image model, official names, without container.
        model: the 3D model that will take them; names and shapes are read from it.
        mode: ``'average'`` (official) or ``'center'``.

    Returns:
        The same keys; tensors of the model's shapes where only the time axis was
        missing, the others unchanged.

    Raises:
        ValueError: ``mode`` is unknown, a kernel is 3D already, or the image model is
            of another arch. The message names the key.
    """
    check_mode(mode)
    target = model.state_dict()
    inflated = {}
    for key, tensor in state_dict.items():
        shape = target[key].shape if key in target else tensor.shape
        if tensor.dim() == 5 and shape == tensor.shape:
            raise ValueError(
                f'{key}: is 3D already ({tuple(tensor.shape)}); '
                'inflation takes an image checkpoint'
            )
        if fits_inflated(tensor.shape, shape):
            tensor = inflate_kernel(tensor, shape[2], mode)
        elif is_required(key) and key not in target:
            raise ValueError(f'{key}: is not in the model; {ANOTHER}')
        elif is_required(key) and tensor.shape != shape:
            raise ValueError(
                f'{key}: {tuple(tensor.shape)} does not inflate to '
                f'{tuple(shape)}; {ANOTHER}'
            )
        inflated[key] = tensor
    for key in filter(is_required, target):
        if key not in inflated:
            raise ValueError(f'{key}: is not in the checkpoint; {ANOTHER}')
    return inflated
