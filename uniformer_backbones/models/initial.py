"""Initial values of a new model."""

from timm.layers import trunc_normal_
from torch import nn

from uniformer_backbones.layers.block import DividedBlock


def reset_parameters(model: nn.Module) -> None:
    """Give a backbone the official initial values.

    Linear layers get a truncated normal of deviation 0.02 and no bias; convolutions
    and norms keep PyTorch's values. The temporal attention of divided blocks starts
    with zeros and with a projection of ones, as released.
    """
    for module in model.modules():
        if type(module) is nn.Linear:
            trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in model.modules():
        if isinstance(module, DividedBlock):
            nn.init.zeros_(module.t_attn.qkv.weight)
            nn.init.ones_(module.t_attn.proj.weight)
