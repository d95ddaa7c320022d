"""MixToken: a box of each sample's tokens comes from another sample of the batch.

arXiv:2104.10858 (LV-ViT), section 3.2; here as the released UniFormer has it: pasted
after patch embedding 1, undone on the scores of the last tokens.
"""

import math
import random

import torch
from torch import Tensor

# From the map after embedding 1 to the last one: three halvings.
REDUCTION = 8

Box = tuple[int, int, int, int]


class TokenMixer:
    """The box of one batch: give it to the backbone as ``mix``, then read ``box``.

    Made for one training step and forgotten after it, so that a model holds no state.

    Args:
        beta: both parameters of the Beta distribution of the share that is kept.

    Attributes:
        box: ``(row1, column1, row2, column2)`` on the map after embedding 1,
            end-exclusive; ``None`` until the backbone has run.
    """

    def __init__(self, beta: float = 1.0) -> None:
        self.kept = random.betavariate(beta, beta)
        self.centre = random.random(), random.random()
        self.box: Box | None = None

    # Recompiling the backbone for each box would cost more than it gains.
    @torch.compiler.disable
    def __call__(self, x: Tensor) -> Tensor:
        """Paste the box of the reversed batch into ``(B, H, W, C)``, a new tensor."""
        rows, columns = x.shape[1:3]
        centre = (int(self.centre[0] * rows), int(self.centre[1] * columns))
        self.box = mixing_box(rows, columns, self.kept, centre)
        return swap_box(x, self.box)

    @property
    def token_box(self) -> Box:
        """The box on the grid of the last tokens: divided by 8 and rounded down.

        Raises:
            RuntimeError: the backbone has not run.
        """
        if self.box is None:
            raise RuntimeError('the mixer was not given to a backbone')
        row1, column1, row2, column2 = (side // REDUCTION for side in self.box)
        return row1, column1, row2, column2


def mixing_box(rows: int, columns: int, kept: float, centre: tuple[int, int]) -> Box:
    """Box of the same shape as the map, clipped to it.

    Args:
        rows: of the map.
        columns: of the map.
        kept: share of the map outside an unclipped box, 0 to 1.
        centre: row and column of the box's centre.

    Returns:
        ``(row1, column1, row2, column2)``, end-exclusive; empty where it would be
        less than two positions high or wide.

    Examples:
        >>> mixing_box(56, 56, 0.75, (28, 3))  # sides 28: 14 to each direction
        (14, 0, 42, 17)
    """
    ratio = math.sqrt(1.0 - kept)
    half_height, half_width = int(rows * ratio) // 2, int(columns * ratio) // 2
    row, column = centre
    return (
        max(row - half_height, 0),
        max(column - half_width, 0),
        min(row + half_height, rows),
        min(column + half_width, columns),
    )


def swap_box(x: Tensor, box: Box) -> Tensor:
    """Inside a box, the map of the reversed batch; applied twice it is the identity.

    Shape:
        ``(B, H, W, C)`` in and out; a new tensor.
    """
    row1, column1, row2, column2 = box
    mixed = x.clone()
    mixed[:, row1:row2, column1:column2] = x[:, row1:row2, column1:column2].flip(0)
    return mixed


def kept_share(box: Box, tokens: int) -> float:
    """Share of the tokens that are a sample's own: the weight of its class."""
    row1, column1, row2, column2 = box
    return 1.0 - (row2 - row1) * (column2 - column1) / tokens
