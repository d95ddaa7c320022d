"""UniFormer in the structure of the official code, to measure ours against.

Maps stay ``(B, C, *S)``, every linear map on them is a convolution, attention holds its
whole map in memory, and tokens are made and unmade by flatten, transpose and reshape.
Same state-dict names and same results as :class:`uniformer_backbones.UniFormer`; only
the plain stem, no dropout and no layer scale. Nothing but the benchmark uses it.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from uniformer_backbones.models.arch import find_arch

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


class PatchEmbed(nn.Module):
    """Strided convolution, LayerNorm over the tokens, and back to a map."""

    def __init__(self, c_in: int, c_out: int, stage: int, ndim: int) -> None:
        super().__init__()
        side = 4 if stage == 1 else 2
        time = {'kernel': 3, 'stride': 2, 'pad': 1} if stage == 1 else {}
        kernel = (side, side) if ndim == 2 else (time.get('kernel', 1), side, side)
        stride = (side, side) if ndim == 2 else (time.get('stride', 1), side, side)
        padding = (0, 0) if ndim == 2 else (time.get('pad', 0), 0, 0)
        self.proj = CONV[ndim](c_in, c_out, kernel, stride, padding)
        self.norm = nn.LayerNorm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x)
        size = x.shape[2:]
        x = self.norm(x.flatten(2).transpose(1, 2))
        return x.transpose(1, 2).reshape(x.shape[0], -1, *size).contiguous()


class ConvFFN(nn.Module):
    """Expansion and reduction by 1x1 convolutions."""

    def __init__(self, dim: int, hidden: int, ndim: int) -> None:
        super().__init__()
        self.fc1 = CONV[ndim](dim, hidden, 1)
        self.act = nn.GELU()
        self.fc2 = CONV[ndim](hidden, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class FFN(nn.Module):
    """Expansion and reduction on tokens."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.act(self.fc1(x)))


class LocalBlock(nn.Module):
    """Official ``CBlock``."""

    def __init__(self, dim: int, hidden: int, ndim: int) -> None:
        super().__init__()
        conv = CONV[ndim]
        self.pos_embed = conv(dim, dim, 3, padding=1, groups=dim)
        self.norm1 = BATCH_NORM[ndim](dim)
        self.conv1 = conv(dim, dim, 1)
        self.conv2 = conv(dim, dim, 1)
        self.attn = conv(dim, dim, 5, padding=2, groups=dim)
        self.norm2 = BATCH_NORM[ndim](dim)
        self.mlp = ConvFFN(dim, hidden, ndim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        x = x + self.conv2(self.attn(self.conv1(self.norm1(x))))
        return x + self.mlp(self.norm2(x))


class Attention(nn.Module):
    """Multi-head attention with its map materialised."""

    def __init__(self, dim: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads = dim // head_dim
        self.scale = (dim // self.num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        B, L, C = x.shape
        qkv = self.qkv(x).reshape(B, L, 3, self.num_heads, C // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, head_dim)
        attn = ((q @ k.transpose(-2, -1)) * self.scale).softmax(dim=-1)
        return self.proj((attn @ v).transpose(1, 2).reshape(B, L, C))


class GlobalBlock(nn.Module):
    """Official ``SABlock``, and ``SABlock_Windows`` where ``window`` is not zero."""

    def __init__(
        self, dim: int, hidden: int, ndim: int, head_dim: int, window: int
    ) -> None:
        super().__init__()
        self.window = window
        self.pos_embed = CONV[ndim](dim, dim, 3, padding=1, groups=dim)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, head_dim)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = FFN(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_embed(x)
        if self.window:
            x = x.permute(0, 2, 3, 1)  # (B, H, W, C)
            x = x + self._attend_in_windows(self.norm1(x))
            x = x + self.mlp(self.norm2(x))
            return x.permute(0, 3, 1, 2)
        shape = x.shape
        x = x.flatten(2).transpose(1, 2)  # (B, L, C)
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x.transpose(1, 2).reshape(shape)

    def _attend_in_windows(self, x: Tensor) -> Tensor:
        side = self.window
        _, H, W, C = x.shape
        x = F.pad(x, (0, 0, 0, -W % side, 0, -H % side))
        B, rows, cols = x.shape[0], x.shape[1] // side, x.shape[2] // side
        x = x.view(B, rows, side, cols, side, C).permute(0, 1, 3, 2, 4, 5)
        x = self.attn(x.contiguous().view(-1, side * side, C))
        x = x.view(B, rows, cols, side, side, C).permute(0, 1, 3, 2, 4, 5)
        x = x.contiguous().view(B, rows * side, cols * side, C)
        return x[:, :H, :W, :].contiguous()


class Reference(nn.Module):
    """The four stages; arguments as those of :class:`uniformer_backbones.UniFormer`.

    Args:
        arch: an arch with the plain stem and without layer scale.
        ndim: 2 for images, 3 for clips.
        attention: relation of stage 3: ``'global'``, ``'window'`` or ``'hybrid'``, the
            last two for images only.
        window_size: side of a window in tokens.
        out_indices: stages whose maps are returned.
        out_norm: ``'batch'`` or ``'layer'``.

    Shape:
        Input ``(B, 3, *S)``; output a tuple of maps ``(B, C, *S)``.

    Raises:
        ValueError: the arch has a convolutional stem or layer scale.
    """

    def __init__(
        self,
        arch: str | dict = 'small',
        ndim: int = 2,
        attention: str = 'global',
        window_size: int = 14,
        out_indices: Sequence[int] = (3,),
        out_norm: str = 'batch',
    ) -> None:
        super().__init__()
        row = find_arch(arch)
        if row.conv_stem or row.layer_scale != 'none':
            raise ValueError(
                f'the reference has no conv stem and no layer scale: {arch}'
            )
        self.ndim, self.out_indices = ndim, tuple(out_indices)
        width = 3
        for index, dim in enumerate(row.embed_dims):
            stage, hidden = index + 1, int(dim * row.mlp_ratio)
            self.add_module(f'patch_embed{stage}', PatchEmbed(width, dim, stage, ndim))
            blocks = nn.ModuleList()
            for position in range(row.depths[index]):
                if stage < 3:
                    blocks.append(LocalBlock(dim, hidden, ndim))
                    continue
                windowed = stage == 3 and (
                    attention == 'window'
                    or (attention == 'hybrid' and (position + 1) % 4)
                )
                window = window_size if windowed else 0
                blocks.append(GlobalBlock(dim, hidden, ndim, row.head_dim, window))
            self.add_module(f'blocks{stage}', blocks)
            width = dim
            if out_norm == 'layer' and index in self.out_indices:
                self.add_module(f'norm{stage}', nn.LayerNorm(dim, eps=1e-6))
        if out_norm == 'batch':
            self.norm = BATCH_NORM[ndim](width)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outs = []
        for index in range(4):
            x = getattr(self, f'patch_embed{index + 1}')(x)
            for block in getattr(self, f'blocks{index + 1}'):
                x = block(x)
            if index in self.out_indices:
                outs.append(self._normalise(x, index))
        return tuple(outs)

    def _normalise(self, x: Tensor, index: int) -> Tensor:
        if hasattr(self, f'norm{index + 1}'):
            out = getattr(self, f'norm{index + 1}')(x.movedim(1, -1))
            return out.movedim(-1, 1).contiguous()
        return self.norm(x) if index == 3 and hasattr(self, 'norm') else x
