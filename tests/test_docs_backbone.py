"""The snippets of docs/backbone.md do what the page says."""

import re
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from uniformer_backbones import UniFormer

PAGE = Path(__file__).resolve().parents[1] / 'docs/backbone.md'
SNIPPETS = re.findall(r'```python\n(.*?)```', PAGE.read_text('utf-8'), re.S)


@pytest.mark.parametrize('library', ['mmdet', 'mmseg', 'mmpose'])
def test_snippet_of_a_library_builds_its_model(library, tmp_path):
    [snippet] = [text for text in SNIPPETS if f"'{library}::" in text]
    path = tmp_path / 'own.py'
    path.write_text(snippet)
    cfg = Config.fromfile(path)
    assert cfg.model.backbone.pop('init_cfg')['type'] == 'Pretrained'
    init_default_scope(library)
    import_module(f'{library}.models')
    model = import_module(f'{library}.registry').MODELS.build(cfg.model)
    assert isinstance(model.backbone, UniFormer)
    maps = model.eval().backbone(torch.zeros(1, 3, 64, 64))
    assert [out.shape[1] for out in maps][-1] == 512
    if library == 'mmdet':
        assert len(model.neck(maps)) == 5
    if library == 'mmseg':
        assert model.decode_head(maps).shape[1] == 150
        assert model.auxiliary_head(maps).shape[1] == 150
    if library == 'mmpose':
        assert model.head(maps).shape[1] == 17


@pytest.mark.slow
def test_exported_file_gives_the_outputs_of_the_model(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip('onnxruntime')
    monkeypatch.chdir(tmp_path)
    [snippet] = [text for text in SNIPPETS if 'onnx.export' in text]
    # The model of the page is large: a shallow one shows the same.
    arch = "{'depths': (1, 1, 2, 1), 'embed_dims': (8, 16, 24, 32), 'head_dim': 8}"
    names = {}
    exec(snippet.replace("'small', out", f'{arch}, out'), names)
    session = onnxruntime.InferenceSession(
        'uniformer_small.onnx', providers=['CPUExecutionProvider']
    )
    x = torch.randn(1, 3, 96, 64)
    found = session.run(None, {'x': x.numpy()})
    for ours, theirs in zip(names['model'](x), found, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-4)
