"""Maps from a classifier, and the maps of the demo."""

import json
import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import projects.cls  # noqa: F401 - registers what the configs name
from projects.cls.label_map import read_label_map
from projects.cls.map_maker import (
    load_classifier,
    make_label_maps,
    place_scores,
    training_images,
)
from projects.cls.token_folder import (
    DEMO_LOGIT,
    check_label_maps,
    mask_logits,
    use_label_maps,
)
from projects.common.errors import UserError
from projects.common.world.imagenet import IMAGE_CLASSES, draw_object, write_imagenet

TINY = {'depths': (1, 1, 1, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}
NAMES = sorted(IMAGE_CLASSES)


def config(head='LinearClsHead'):
    linear = head == 'LinearClsHead'
    return Config(
        {
            'default_scope': 'mmpretrain',
            'model': {
                'type': 'ImageClassifier' if linear else 'TokenLabelingClassifier',
                'backbone': {'type': 'uniformer_backbones.UniFormer', 'arch': TINY},
                'neck': {'type': 'GlobalAveragePooling'} if linear else None,
                'head': {'type': head, 'num_classes': 8, 'in_channels': 32},
            },
        }
    )


@pytest.fixture
def model():
    init_default_scope('mmpretrain')
    return MODELS.build(config().model).eval()


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    write_imagenet(root, num_train=9, num_val=8, size=64)
    params = {'num_train': 9, 'num_val': 8, 'seed': 0, 'size': 64}
    (root / 'world.json').write_text(json.dumps({'params': params}))
    return root


def test_mean_of_the_places_is_the_score_of_the_image(model):
    image = torch.rand(2, 3, 96, 64)
    with torch.no_grad():
        places = place_scores(model, image)
        assert places.shape == (2, 8, 3, 2)
        # A linear head of a mean is the mean of the linear head.
        assert torch.allclose(places.mean((2, 3)), model(image), atol=1e-5)


def test_token_labeling_model_gives_its_auxiliary_scores():
    init_default_scope('mmpretrain')
    model = MODELS.build(config('TokenLabelingHead').model).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        _, tokens = model.head.scores(model.backbone(image))
        assert place_scores(model, image).equal(tokens.movedim(-1, 1))


def test_head_without_a_linear_layer_is_refused(model):
    model.head = torch.nn.Identity()
    with pytest.raises(UserError, match='Identity: label maps need a linear head'):
        place_scores(model, torch.rand(1, 3, 64, 64))


def test_maps_are_written_once_and_again_only_where_missing(model, world, tmp_path):
    files = training_images(world, tmp_path)
    assert len(files) == 9
    report = make_label_maps(model, files, tmp_path, 64, top=3, batch_size=4)
    assert (report.written, report.kept, report.unreadable) == (9, 0, [])
    check_label_maps(tmp_path, files, 8)
    path = tmp_path / files[0].parent.name / f'{files[0].stem}.pt'
    assert read_label_map(path, 8).shape == (2, 3, 2, 2)
    path.unlink()
    with pytest.raises(UserError, match=r'1 of 9 label maps are missing.*make_label'):
        check_label_maps(tmp_path, files, 8)
    report = make_label_maps(model, files, tmp_path, 64, top=3)
    assert (report.written, report.kept) == (1, 8)
    assert len(list(tmp_path.rglob('*'))) == 9 + 8  # maps and folders, no leftovers


def test_unreadable_image_is_named_and_the_others_get_maps(model, tmp_path):
    folder = tmp_path / 'cat'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), np.zeros((40, 50, 3), np.uint8))
    (folder / 'b.png').write_text('no image')
    files = training_images(tmp_path, tmp_path / 'maps')
    report = make_label_maps(model, files, tmp_path / 'maps', 64)
    assert report.written == 1
    assert [line.split(': ')[0] for line in report.unreadable] == [str(files[1])]


def test_two_images_of_one_map_are_refused(tmp_path):
    for name in ('a/x.png', 'b/a/x.png'):
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        cv2.imwrite(str(file), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match='would share its map with'):
        training_images(tmp_path, tmp_path / 'maps')


def test_folder_without_images_is_refused(tmp_path):
    with pytest.raises(UserError, match='no such file or folder'):
        training_images(tmp_path / 'absent', tmp_path)


def test_weights_of_other_classes_are_refused(model, tmp_path):
    file = tmp_path / 'other.pth'
    state = model.state_dict()
    state['head.fc.weight'] = torch.zeros(5, 32)
    torch.save({'state_dict': state}, file)
    with pytest.raises(UserError, match=r'it has no head\.fc\.weight'):
        load_classifier(config(), str(file), 'cpu')
    torch.save({'state_dict': model.state_dict()}, file)
    loaded = load_classifier(config(), str(file), 'cpu')
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert loaded(image).equal(model(image))


def test_demo_maps_say_where_the_object_is(world):
    cfg = Config(
        {
            'train_dataloader': {
                'dataset': {
                    'type': 'CustomDataset',
                    'pipeline': [
                        {'type': 'LoadLabelMap', 'root': '', 'num_classes': 1}
                    ],
                }
            }
        }
    )
    use_label_maps(cfg, world, 8)
    loader = cfg.train_dataloader.dataset.pipeline[0]
    assert (loader.root, loader.num_classes) == (str(world / 'label_maps'), 8)
    files = training_images(world, world / 'label_maps')
    check_label_maps(loader.root, files, 8)
    name = IMAGE_CLASSES[3]
    logits, classes = read_label_map(world / f'label_maps/{name}/000003.pt', 8)
    mask = draw_object(0, 'train', 3, 64).labels > 0
    cells = mask.reshape(8, 8, 8, 8).mean((1, 3))
    assert logits[0] == pytest.approx(DEMO_LOGIT * cells, abs=0.02)
    assert (classes[0][cells > 0] == NAMES.index(name)).all()
    assert (logits[1:] == 0).all()


def test_demo_label_is_sharp_on_the_object_and_even_beside_it():
    logits = mask_logits(np.eye(2).repeat(4, 0).repeat(4, 1) > 0, 5, 8)
    labels = logits.softmax(0)
    assert labels[5, 0, 0].item() == pytest.approx(1, abs=1e-6)
    assert labels[:, 0, 7].tolist() == pytest.approx([1 / 8] * 8)
    assert logits[5, 0, 0].item() == DEMO_LOGIT
    assert math.isclose(logits.sum().item(), DEMO_LOGIT * 32, rel_tol=1e-6)
