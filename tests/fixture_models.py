"""Our model for the official arguments that a parity fixture records."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from projects.cls.light_head import LightHead
from projects.cls.token_head import NO_BOX, TokenLabelingHead
from projects.cls.token_mixing import Box, swap_box
from uniformer_backbones import UniFormer

CLASSES = {'cls': 1000, 'tl': 1000, 'video': 400}
DENSE = ('det', 'seg', 'pose')
# The precision of the official "fp32" class is autocast's concern here.
LIGHT = {
    'cls_light': 'cls',
    'det_light': 'det',
    'video_light': 'video',
    'video_light_fp32': 'video',
    'video_light_ls': 'video',
}
TASKS = (*CLASSES, *DENSE, *LIGHT, 'openmixup', 'mmaction')
# Sizes and initial values that the weights of the file decide, and what only training
# draws at random; the fixtures of training have no dropout.
IMMATERIAL = ('img_size', 'num_classes', 'init_value', 'init_values')
RANDOM = ('drop_rate', 'attn_drop_rate', 'drop_path_rate')


class Classifier(nn.Module):
    """UniFormer, mean over positions, linear head: the official classifiers."""

    def __init__(self, backbone: UniFormer, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(backbone.arch.embed_dims[-1], num_classes)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Logits of ``(B, 3, *S)``, in a tuple as the backbone's outputs are."""
        return (self.head(self.backbone(x)[-1].flatten(2).mean(-1)),)


class TokenLabeler(nn.Module):
    """UniFormer with the heads of token labeling."""

    def __init__(self, backbone: UniFormer, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = TokenLabelingHead(num_classes, backbone.arch.embed_dims[-1])

    def forward(
        self, x: Tensor, pasted: Box = NO_BOX, undone: Box = NO_BOX
    ) -> tuple[Tensor, ...]:
        """Logits; in training those of the image and of its tokens ``(B, N, C)``.

        ``pasted`` is MixToken's box after embedding 1, ``undone`` that of the tokens.
        """
        feats = self.backbone(x, partial(swap_box, box=pasted))
        if not self.training:
            return (self.head(feats),)
        logits, tokens = self.head.scores(feats, undone)
        return logits, tokens.flatten(1, 2)


def official_name(key: str) -> str:
    """Name that a parameter of the classes above has in the official code."""
    key = key.removeprefix('backbone.').replace('head.fc.', 'head.')
    for name in ('aux_head.', 'norm_cls.', 'head_cls.'):
        key = key.replace(f'head.{name}', name)
    return key


class LightClassifier(nn.Module):
    """A light UniFormer with both of its heads."""

    def __init__(self, backbone: UniFormer, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = LightHead(num_classes, backbone.arch.embed_dims[-1])

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits of the map; in training those of the class token too."""
        feats = self.backbone(x)
        if not self.training:
            return (self.head(feats),)
        return self.head(feats), self.head.score_token(feats)


def build(case: Mapping[str, Any]) -> nn.Module:
    """Our model for a fixture's official arguments.

    Raises:
        ValueError: the task or an argument is not one of ours.
    """
    task, official = case['task'], dict(case['arguments'])
    if task not in TASKS:
        raise ValueError(f'task {task!r} is not supported; only {", ".join(TASKS)} are')
    model = (
        _build_openmixup(official) if task == 'openmixup' else _build(case, official)
    )
    skip = IMMATERIAL if case['mode'] == 'train_grad' else IMMATERIAL + RANDOM
    left = sorted(key for key, value in official.items() if value and key not in skip)
    if left:
        raise ValueError(f'arguments without a counterpart: {left}')
    return model


def _build(case: Mapping[str, Any], official: dict[str, Any]) -> nn.Module:
    """Take what we know from ``official`` and build the official code's models."""
    task = LIGHT.get(case['task'], case['task'])
    layer_scale = 'none'
    if official.pop('layer_scale', False) or case['task'] == 'video_light_ls':
        layer_scale = 'global' if case['task'] == 'cls' else 'all'
    arch = {
        'depths': official.pop('depth', None) or official.pop('layers', None),
        'embed_dims': official.pop('embed_dim'),
        'head_dim': official.pop('head_dim'),
        'mlp_ratio': _one_ratio(official.pop('mlp_ratio', 4)),
        'conv_stem': official.pop('conv_stem', False),
        'layer_scale': layer_scale,
    }
    if case['task'] in LIGHT:
        arch['keep_ratio'] = _one_share(official.pop('prune_ratio'))
        arch['trade_off'] = _one_share(official.pop('trade_off'))
        arch['conv_stem'] = True  # the video configs do not say it
    ours: dict[str, Any] = {
        'attention': _relation(official),
        'window_size': official.pop('window_size', 14),
        'qkv_bias': official.pop('qkv_bias', True),
        'temporal_overlap': official.pop('std', False),
        'in_channels': official.pop('in_chans', 3),
        'ndim': 3 if task in ('video', 'mmaction') else 2,
    }
    if task in DENSE:
        indices = (3,) if task == 'pose' else (0, 1, 2, 3)
        return UniFormer(arch, out_norm='layer', out_indices=indices, **ours)
    if task == 'mmaction':
        return UniFormer(arch, norm_eps=1e-5, **ours)
    head = case['state_dict'].get('head.bias', [CLASSES[task]])
    if task == 'tl':
        official.pop('return_dense'), official.pop('mix_token')
        return TokenLabeler(UniFormer(arch, **ours), head[0])
    if case['task'] in LIGHT:
        return LightClassifier(UniFormer(arch, out_cls_token=True, **ours), head[0])
    return Classifier(UniFormer(arch, **ours), head[0])


def _relation(official: dict[str, Any]) -> str:
    """One word for three booleans; ``windows`` wins over ``hybrid``."""
    found = [
        word for word in ('split', 'windows', 'hybrid') if official.pop(word, False)
    ]
    words = {'split': 'divided', 'windows': 'window', 'hybrid': 'hybrid'}
    return words[found[0]] if found else 'global'


def _one_share(shares: list[list[float]]) -> float:
    """The share of all blocks of stages 3 and 4 but the first, whose share is 1."""
    first, *others = [share for stage in shares for share in stage]
    if first != 1 or len(set(others)) != 1:
        raise ValueError(f'shares are not 1 and then equal: {shares}')
    return others[0]


def _one_ratio(ratio: float | list[float]) -> float:
    """The expansion of all stages; the video configs say it once for each."""
    ratios = set(ratio) if isinstance(ratio, list) else {ratio}
    if len(ratios) > 1:
        raise ValueError(f'mlp_ratio differs between stages: {ratio}')
    return ratios.pop()


def _build_openmixup(official: dict[str, Any]) -> nn.Module:
    """OpenMixup's model: layer scale in all blocks, eps 1e-6 in embeddings too."""
    arch = official.pop('arch')
    return UniFormer(
        {'large': 'large_ls'}.get(arch, arch),
        layer_scale='none' if official.get('init_values') == 0 else 'all',
        embed_eps=1e-6,
        qkv_bias=official.pop('qkv_bias', True),
    )
