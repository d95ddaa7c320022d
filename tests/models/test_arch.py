"""The table of published variants, and the checks of a caller's own row."""

import pytest
import torch

from tests.fixtures import NAMES, read
from tests.tiny import TINY
from uniformer_backbones import UniFormer, list_archs
from uniformer_backbones.models import ARCHS, Arch, find_arch

SMALL = (64, 128, 320, 512)
# The table of the papers and the released code: depths, widths, head_dim, heads of
# stages 3 and 4, FFN expansion, convolutional stem, layer scale.
TABLE = {
    'tiny': ((3, 4, 8, 3), (32, 64, 160, 256), 32, (5, 8), 4, False, 'all'),
    'xxs': ((2, 5, 8, 2), (56, 112, 224, 448), 28, (8, 16), 3, True, 'none'),
    'xs': ((3, 5, 9, 3), (64, 128, 256, 512), 32, (8, 16), 3, True, 'none'),
    'small': ((3, 4, 8, 3), SMALL, 64, (5, 8), 4, False, 'none'),
    'small_plus': ((3, 5, 9, 3), SMALL, 32, (10, 16), 4, True, 'none'),
    'small_plus_dim64': ((3, 5, 9, 3), SMALL, 64, (5, 8), 4, True, 'none'),
    'base': ((5, 8, 20, 7), SMALL, 64, (5, 8), 4, False, 'none'),
    'base_ls': ((5, 8, 20, 7), SMALL, 64, (5, 8), 4, False, 'global'),
    'large_ls': ((5, 10, 24, 7), (128, 192, 448, 640), 64, (7, 10), 4, False, 'all'),
}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def meta(*args, **kwargs):
    """A model without memory."""
    with torch.device('meta'):
        return UniFormer(*args, **kwargs)


def test_archs_are_those_of_the_table():
    assert set(list_archs()) == set(TABLE)
    sizes = [count(meta(name)) for name in list_archs()]
    assert sizes == sorted(sizes)  # smallest first


@pytest.mark.parametrize('name', TABLE)
def test_arch_has_the_published_numbers(name):
    depths, dims, head_dim, heads, ratio, stem, scale = TABLE[name]
    arch = ARCHS[name]
    assert (arch.depths, arch.embed_dims, arch.head_dim) == (depths, dims, head_dim)
    assert (arch.mlp_ratio, arch.conv_stem, arch.layer_scale) == (ratio, stem, scale)
    model = meta(name)
    stages = [model.blocks1, model.blocks2, model.blocks3, model.blocks4]
    assert tuple(len(stage) for stage in stages) == depths
    assert tuple(stage[0].pos_embed.in_channels for stage in stages) == dims
    assert tuple(stage[0].attn.num_heads for stage in stages[2:]) == heads
    scaled = [hasattr(s[0], 'gamma_1') and s[0].gamma_1 is not None for s in stages]
    allowed = {'none': [], 'global': [2, 3], 'all': [0, 1, 2, 3]}[scale]
    assert [index for index, has in enumerate(scaled) if has] == allowed
    assert stages[0][0].mlp.fc1.weight.shape[0] == ratio * dims[0]
    light = name in ('xxs', 'xs')
    assert arch.is_hourglass == light
    # The light rows of the official configs: 1 and then 0.5, both lists.
    assert (arch.keep_ratio, arch.trade_off) == ((0.5 if light else 1), 0.5)


# Parameters of the reference models; the classifiers' heads are 512 x 1000 + 1000.
HEAD = 512 * 1000 + 1000
# And of the light ones: two heads, and a LayerNorm of the class token.
XXS_HEADS = 2 * (448 * 1000 + 1000) + 2 * 448
XS_HEADS = 2 * HEAD + 2 * 512
COUNTED = {
    'tiny': read('openmixup_tiny_224')['num_parameters'],
    'xxs': read('cls_light_xxs_160')['num_parameters'] - XXS_HEADS,
    'xs': read('cls_light_xs_192_b2')['num_parameters'] - XS_HEADS,
    'small': read('cls_small_224')['num_parameters'] - HEAD,
    'small_plus': read('cls_small_plus_224')['num_parameters'] - HEAD,
    'small_plus_dim64': read('cls_small_plus_dim64_224')['num_parameters'] - HEAD,
    'base': read('cls_base_224')['num_parameters'] - HEAD,
    'base_ls': read('cls_base_ls_224')['num_parameters'] - HEAD,
    # The reference token-labeling L: two heads of 640 x 1000 + 1000 on top.
    'large_ls': 100_103_888 - 2 * 641_000,
}


@pytest.mark.parametrize('name', COUNTED)
def test_parameters_are_as_many_as_in_the_reference_model(name):
    assert count(meta(name)) == COUNTED[name]


def test_fixtures_reach_every_arch_but_the_large_one():
    rows = [read(name)['arguments'] for name in NAMES]
    depths = {tuple(row.get('depth') or row.get('layers') or ()) for row in rows}
    assert depths >= {ARCHS[name].depths for name in list_archs() if name != 'large_ls'}


def test_arch_may_be_a_dict_of_lists_as_a_config_gives_it():
    row = {**TINY, 'depths': [1, 1, 4, 1], 'mlp_ratio': 2.5, 'conv_stem': True}
    arch = find_arch(row)
    assert arch.depths == (1, 1, 4, 1)
    assert hash(arch)
    model = UniFormer(row)
    assert model.blocks1[0].mlp.fc1.weight.shape[0] == 40  # int(16 * 2.5)
    assert tuple(model.patch_embed2.proj[0].weight.shape) == (32, 16, 3, 3)
    assert find_arch(arch) is arch


@pytest.mark.parametrize(
    ('arch', 'message'),
    [
        ('smal', "unknown arch 'smal'; choose one of tiny, xxs, xs, small, .*large_ls"),
        (None, 'unknown arch None'),
        (['small'], 'unknown arch'),
        ({'depths': (1, 1, 1, 1)}, r"missing \['embed_dims', 'head_dim'\]"),
        ({**TINY, 'heads': 3}, r"unknown \['heads'\]"),
        ({**TINY, 'depths': (1, 1, 4)}, r'arch depths must be four .*got \(1, 1, 4\)'),
        ({**TINY, 'depths': (1, 0, 4, 1)}, 'arch depths must be four positive'),
        ({**TINY, 'depths': (1, 1.5, 4, 1)}, 'arch depths must be four positive'),
        ({**TINY, 'embed_dims': 64}, 'arch embed_dims must be four .*got 64'),
        ({**TINY, 'head_dim': 0}, 'head_dim must be a positive integer, got 0'),
        ({**TINY, 'mlp_ratio': -1}, 'mlp_ratio must be positive, got -1'),
        ({**TINY, 'keep_ratio': 0}, 'keep_ratio must be above 0 and at most 1, got 0'),
        ({**TINY, 'keep_ratio': 1.5}, 'keep_ratio must be above 0 .* got 1.5'),
        ({**TINY, 'trade_off': '1'}, "trade_off must be above 0 .* got '1'"),
        ({**TINY, 'layer_scale': 'some'}, "none, global, all; got 'some'"),
    ],
)
def test_wrong_arch_is_refused_in_one_line(arch, message):
    with pytest.raises(ValueError, match=message) as caught:
        UniFormer(arch)
    assert '\n' not in str(caught.value)


def test_arch_cannot_be_changed():
    assert isinstance(ARCHS['small'], Arch)
    with pytest.raises(AttributeError):
        ARCHS['small'].head_dim = 32
