"""Multi-head relation aggregators (MHRA): what mixes tokens.

UniFormer, arXiv:2201.09450, section 3.2. All of them map ``(B, *S, C)`` to the
same shape.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uniformer_backbones.layers.depthwise import depthwise_conv
from uniformer_backbones.layers.nd import (
    PointwiseConv,
    from_windows,
    to_windows,
)

# Below this many tokens a CPU multiplies bf16/fp16 attention faster with plain
# matrix products than with its fused kernel.
EXPLICIT_ATTENTION_TOKENS = 3000


class LocalMHRA(nn.Module):
    """Local relation aggregator: a learnable affinity over a small neighbourhood.

    Point-wise convolution, depth-wise convolution, point-wise convolution; the
    depth-wise weights are the affinity. No activation in between.

    Args:
        dim: channels C, in and out.
        ndim: 2 for images, 3 for clips.
        kernel_size: side of the neighbourhood in tokens (in time too); odd.

    Shape:
        ``(B, *S, C)`` floating to the same shape. Any ``S`` with sides >= 1.

    Raises:
        ValueError: ``ndim`` is not 2 or 3, or ``kernel_size`` is even.

    Source:
        arXiv:2201.09450, equation 5; official keys ``conv1``, ``attn``, ``conv2``.
    """

    def __init__(self, dim: int, ndim: int, kernel_size: int = 5) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f'kernel_size must be odd, got {kernel_size}')
        self.conv1 = PointwiseConv(dim, dim, ndim)
        self.attn = depthwise_conv(dim, kernel_size, ndim)
        self.conv2 = PointwiseConv(dim, dim, ndim)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C)`` to ``(B, *S, C)``."""
        return self.conv2(self.attn(self.conv1(x)))


class GlobalMHRA(nn.Module):
    """Global relation aggregator: multi-head self-attention among all tokens.

    Args:
        dim: channels C, in and out.
        head_dim: channels per head; ``dim // head_dim`` heads, at least one.
        qkv_bias: whether query, key and value have biases.
        attn_drop: dropout of the attention map.
        proj_drop: dropout of the output.

    Shape:
        ``(B, *S, C)`` floating to the same shape; memory is linear in the tokens.

    Raises:
        ValueError: the heads do not divide ``dim``.

    Source:
        arXiv:2201.09450, equation 6; official keys ``qkv``, ``proj``.
    """

    def __init__(
        self,
        dim: int,
        head_dim: int,
        qkv_bias: bool = True,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = max(dim // head_dim, 1)
        if dim % self.num_heads:
            raise ValueError(
                f'{dim} channels cannot be split into {self.num_heads} '
                f'heads; choose another head_dim than {head_dim}'
            )
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def attend(self, qkv: Tensor) -> Tensor:
        """Attention among the tokens of each row: ``(B, L, 3C)`` to ``(B, L, C)``."""
        batch, tokens, width = qkv.shape
        heads = self.num_heads
        qkv = qkv.view(batch, tokens, 3, heads, width // 3 // heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, L, d)
        dropout = self.attn_drop if self.training else 0.0
        out = scaled_dot_product(query, key, value, dropout)
        return out.transpose(1, 2).reshape(batch, tokens, width // 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C)`` to ``(B, *S, C)``."""
        out = self.attend(self.qkv(x).flatten(1, -2))
        return self.proj_drop(self.proj(out)).reshape(x.shape)


class WindowMHRA(GlobalMHRA):
    """Window relation aggregator: self-attention inside square spatial windows.

    Same parameters as :class:`GlobalMHRA`, so one checkpoint serves both. A map that
    does not divide is padded at the right and at the bottom with zeros *after* the
    norm and without a mask, as released: a padded token's query, key and value are
    the qkv bias and take part in the softmax. Only real tokens go through the two
    linear layers. No shift, no relative position bias.

    Args:
        dim: channels C, in and out.
        head_dim: channels per head.
        window_size: side of a window in tokens, >= 1; a clip's window holds all frames.
        **kwargs: as for :class:`GlobalMHRA`.

    Raises:
        ValueError: ``window_size`` is less than 1.

    Source:
        Official detection code, ``SABlock_Windows``.
    """

    def __init__(
        self,
        dim: int,
        head_dim: int,
        window_size: int,
        qkv_bias: bool = True,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__(dim, head_dim, qkv_bias, attn_drop, proj_drop)
        if window_size < 1:
            raise ValueError(f'window_size must be positive, got {window_size!r}')
        self.window_size = window_size

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, *S, C)`` to ``(B, *S, C)``."""
        side = self.window_size
        height, width = x.shape[-3:-1]
        pad = (0, 0, 0, -width % side, 0, -height % side)
        # A zero token's qkv is the bias: pad before the bias is added.
        qkv = F.pad(F.linear(x, self.qkv.weight), pad)
        if self.qkv.bias is not None:
            qkv = qkv + self.qkv.bias.to(qkv.dtype)  # autocast: stay in half
        size = qkv.shape[1:-1]
        out = from_windows(self.attend(to_windows(qkv, side)), side, size)
        out = out[..., :height, :width, :]
        return self.proj_drop(self.proj(out))


def scaled_dot_product(
    query: Tensor, key: Tensor, value: Tensor, dropout: float = 0.0
) -> Tensor:
    """Softmax attention on ``(B, heads, L, d)``; picks the faster exact kernel.

    PyTorch's fused attention everywhere, except for short bf16/fp16 sequences on a
    CPU, where plain matrix products win.
    """
    short = query.shape[-2] < EXPLICIT_ATTENTION_TOKENS
    half = query.dtype in (torch.bfloat16, torch.float16)
    if half and short and query.device.type == 'cpu':
        weights = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        weights = F.dropout(weights.softmax(-1), dropout, training=dropout > 0)
        return weights @ value
    return F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
