"""The heads of token labeling and the classifier around them, by hand arithmetic."""

import math

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.structures import DataSample

from projects.cls.token_head import TokenLabelingHead
from projects.cls.token_mixing import TokenMixer
from uniformer_backbones import load_official

TINY = {'depths': (1, 1, 1, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}


def head_of(weight, tokens_weight, **kwargs):
    """A head whose scores are ``weight`` times a token's only channel."""
    head = TokenLabelingHead(len(weight), 1, **kwargs)
    for layer, values in ((head.fc, weight), (head.aux_head, tokens_weight)):
        layer.weight.data = torch.tensor(values)[:, None]
        layer.bias.data.zero_()
    return head


def sample(image, tokens):
    made = DataSample().set_gt_score(torch.tensor(image))
    made.set_field(torch.tensor(tokens), 'gt_token_score')
    return made


def test_prediction_is_the_image_and_half_of_the_best_token():
    head = head_of([1.0, -1.0], [2.0, 3.0])
    tokens = torch.tensor([[1.0, 4.0], [0.0, -1.0]])[None, None]  # mean 1, range -1..4
    scores = head((tokens,))
    assert scores[0].tolist() == [1 + 0.5 * 8, -1 + 0.5 * 12]
    # Each class takes its own best token: here the lowest for the second.
    head = head_of([1.0, -1.0], [2.0, -3.0])
    assert head((tokens,))[0].tolist() == [1 + 0.5 * 8, -1 + 0.5 * 3]
    head.token_share = 0.0
    assert head((tokens,))[0].tolist() == [1, -1]


def log_softmax(scores):
    total = math.log(sum(math.exp(score) for score in scores))
    return [score - total for score in scores]


def soft_cross_entropy(scores, target):
    logs = log_softmax(scores)
    return -sum(t * log for t, log in zip(target, logs, strict=True))


def test_loss_is_that_of_hand_arithmetic_under_a_box():
    head = head_of([1.0, -1.0], [2.0, 0.0], smoothing=0.1, dense_weight=0.5)
    feats = (torch.tensor([[[[1.0, 2.0]]], [[[5.0, -1.0]]]]),)  # two samples, 1 x 2
    samples = [
        sample([1.0, 0.0], [[[1.0, 0.0], [0.5, 0.5]]]),
        sample([0.0, 1.0], [[[0.0, 1.0], [0.25, 0.75]]]),
    ]
    losses = head.loss(feats, samples, (0, 1, 1, 2))  # the right token was swapped

    def smooth(target):  # s / classes = 0.05
        return [0.95 * t + 0.05 for t in target]

    # Means of the tokens: 1.5 and 2. Half of the tokens are a sample's own.
    halves = smooth([1.0, 0.0]), smooth([0.0, 1.0])
    mixed = [(a + b) / 2 for a, b in zip(*halves, strict=True)]
    expected = (
        soft_cross_entropy([1.5, -1.5], mixed) + soft_cross_entropy([2.0, -2.0], mixed)
    ) / 2
    assert losses['loss_cls'].item() == pytest.approx(expected, rel=1e-5)
    # Swapped back, sample 0 has the tokens 1 and -1, sample 1 has 5 and 2.
    pairs = [
        (1.0, [1.0, 0.0]),
        (-1.0, [0.5, 0.5]),
        (5.0, [0.0, 1.0]),
        (2.0, [0.25, 0.75]),
    ]
    terms = [soft_cross_entropy([2 * x, 0.0], smooth(t)) for x, t in pairs]
    assert losses['loss_token'].item() == pytest.approx(0.5 * sum(terms) / 4, rel=1e-5)


def test_smoothing_of_1000_classes_is_09001_t_plus_00001():
    head = TokenLabelingHead(1000, 8)
    smoothed = head._smooth([torch.eye(1000)[3]], torch.zeros(1))
    assert smoothed[0, 3].item() == pytest.approx(0.9001 + 0.0001)
    assert smoothed[0, 4].item() == pytest.approx(0.0001)


def test_labels_of_another_grid_are_refused():
    head = TokenLabelingHead(2, 1)
    made = sample([1.0, 0.0], [[[1.0, 0.0]]])
    with pytest.raises(ValueError, match=r'\(1, 1, 2\) for tokens of shape \(2, 2, 2'):
        head.loss((torch.zeros(1, 1, 2, 2),), [made])


@pytest.mark.parametrize('smoothing', [-0.1, 1.0])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match='smoothing must be in'):
        TokenLabelingHead(2, 1, smoothing=smoothing)


@pytest.fixture
def classifier():
    init_default_scope('mmpretrain')

    def build(**kwargs):
        return MODELS.build(
            {
                'type': 'TokenLabelingClassifier',
                'backbone': {'type': 'uniformer_backbones.UniFormer', 'arch': TINY},
                'head': {
                    'type': 'TokenLabelingHead',
                    'num_classes': 3,
                    'in_channels': 32,
                },
                **kwargs,
            }
        )

    return build


def labelled(count):
    return [sample([1.0, 0.0, 0.0], [[[1.0, 0.0, 0.0]] * 2] * 2) for _ in range(count)]


def test_training_mixes_prediction_does_not(classifier, monkeypatch):
    calls = []
    monkeypatch.setattr(
        TokenMixer,
        '__call__',
        lambda self, x: (
            calls.append(x.shape) or setattr(self, 'box', (0, 0, 0, 0)) or x
        ),
    )
    images = torch.rand(2, 3, 64, 64)
    model = classifier()
    losses = model(images, labelled(2), mode='loss')
    assert set(losses) == {'loss_cls', 'loss_token'}
    assert calls == [(2, 16, 16, 8)]  # after embedding 1, channels last
    model.eval()(images, mode='predict')
    classifier(mix_beta=None)(images, labelled(2), mode='loss')
    assert len(calls) == 1


def test_every_parameter_learns_and_no_state_is_left(classifier):
    model = classifier()
    before = set(vars(model)) | set(vars(model.head)) | set(vars(model.backbone))
    losses = model(torch.rand(4, 3, 64, 64), labelled(4), mode='loss')
    sum(losses.values()).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]
    after = set(vars(model)) | set(vars(model.head)) | set(vars(model.backbone))
    assert after == before


def test_whole_model_starts_from_a_released_file(classifier, tmp_path):
    source = classifier().eval()
    names = {
        'head.fc.': 'module.head.',
        'head.aux_head.': 'module.aux_head.',
        'backbone.': 'module.',
    }
    released = {}
    for key, value in source.state_dict().items():
        old = next(prefix for prefix in names if key.startswith(prefix))
        released[names[old] + key.removeprefix(old)] = value
    file = tmp_path / 'uniformer_tl.pth'
    torch.save({'state_dict': released, 'epoch': 3}, file)
    model = classifier(init_cfg={'type': 'Pretrained', 'checkpoint': str(file)})
    model.init_weights()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert model.eval()(image).equal(source(image))
    report = load_official(classifier(), file)
    assert not report.new
    assert not report.dropped


@pytest.mark.parametrize('beta', [0, -1.0])
def test_mix_beta_must_be_positive(classifier, beta):
    with pytest.raises(ValueError, match='mix_beta'):
        classifier(mix_beta=beta)
