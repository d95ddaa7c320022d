"""Run the compiled operators of mmcv and the fallback on the same inputs.

    python -m tests.compat.compare_compiled

prints the largest difference of each result, on the CPU and, where there is one, on the
GPU. It ends with code 0 when all agree to the tolerances below, 1 when not, and 2 when
there is no compiled mmcv to compare with.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

import uniformer_backbones.compat as compat

Call = Callable[[], Mapping[str, Tensor]]
# float32 sums in another order; a wrong bin or sample differs by 1e-2 and more.
TOLERANCE = 1e-4


def load_compiled() -> object | None:
    """Return mmcv's own extension, or None where the fallback stands for it."""
    compat.install()
    try:
        extension = importlib.import_module('mmcv._ext')
    except ImportError:
        return None
    return extension if getattr(extension, '__file__', None) else None


def use(extension: object) -> None:
    """Make ``mmcv.ops`` call this extension."""
    for name in (
        'nms',
        'roi_align',
        'roi_pool',
        'deform_conv',
        'modulated_deform_conv',
    ):
        # By its full name: mmcv.ops.nms is also a function.
        importlib.import_module(f'mmcv.ops.{name}')
        sys.modules[f'mmcv.ops.{name}'].ext_module = extension


def with_gradients(
    call: Callable[..., Tensor], **inputs: Tensor
) -> Mapping[str, Tensor]:
    """Output of ``call`` and its gradients by the inputs, under a fixed seed."""
    leaves = {name: t.clone().requires_grad_() for name, t in inputs.items()}
    output = call(*leaves.values())
    torch.manual_seed(1)
    seed = torch.randn(output.shape).to(output)
    grads = torch.autograd.grad(output, list(leaves.values()), seed)
    names = (f'gradient by {name}' for name in leaves)
    return {'output': output.detach(), **dict(zip(names, grads, strict=True))}


def box_cases(device: str) -> Iterator[tuple[str, Call]]:
    """NMS in its variants, as in RPN and R-CNN tests."""
    from mmcv import ops

    low = torch.rand(1000, 2) * 300
    boxes = torch.cat([low, low + torch.rand(1000, 2) * 100], dim=1).to(device)
    scores = torch.rand(1000).to(device)
    classes = torch.randint(5, (1000,)).to(device)

    def named(dets: Tensor, kept: Tensor) -> Mapping[str, Tensor]:
        return {'boxes': dets[:, :4], 'scores': dets[:, 4], 'indices': kept}

    for offset in (0, 1):
        for limits in ({}, {'score_threshold': 0.3, 'max_num': 100}):
            yield (
                f'nms, offset {offset}{", limits" if limits else ""}',
                lambda o=offset, k=limits: named(
                    *ops.nms(boxes, scores, 0.5, offset=o, **k)
                ),
            )
        for method in ('naive', 'linear', 'gaussian'):
            yield (
                f'soft_nms, {method}, offset {offset}',
                lambda o=offset, m=method: named(
                    *ops.soft_nms(boxes, scores, 0.3, 0.5, 0.05, m, o)
                ),
            )
    for split in (100, 10000):
        cfg = {'type': 'nms', 'iou_threshold': 0.5, 'split_thr': split}
        yield (
            f'batched_nms, split_thr {split}',
            lambda c=cfg: named(*ops.batched_nms(boxes, scores, classes, c)),
        )


def region_cases(device: str) -> Iterator[tuple[str, Call]]:
    """RoIAlign with Mask R-CNN's settings, and RoIPool."""
    from mmcv import ops

    features = torch.randn(2, 16, 50, 68).to(device)
    low = torch.rand(200, 2) * 200
    corners = torch.cat([low, low + torch.rand(200, 2) * 150], dim=1)
    rois = torch.cat([torch.randint(2, (200, 1)), corners], dim=1).to(device)
    for size, ratio, aligned in ((7, 0, True), (14, 0, True), (7, 2, False)):
        yield (
            f'roi_align {size}x{size}, sampling_ratio {ratio}, aligned {aligned}',
            lambda s=size, r=ratio, a=aligned: with_gradients(
                lambda x: ops.roi_align(x, rois, s, 0.25, r, 'avg', a),
                features=features,
            ),
        )
    for scale in (1.0, 0.25, 1 / 16):
        yield (
            f'roi_pool, scale {scale:g}',
            lambda s=scale: with_gradients(
                lambda x: ops.roi_pool(x, rois, 7, s), features=features
            ),
        )


def convolution_cases(device: str) -> Iterator[tuple[str, Call]]:
    """Deformable convolution v1 and v2."""
    from mmcv import ops

    for stride, dilation, groups, deform in ((1, 1, 1, 1), (2, 1, 2, 2), (1, 2, 1, 2)):
        geometry = (stride, dilation, dilation, groups, deform)
        side = 17 if stride == 2 else 33
        tensors = {
            'input': torch.randn(2, 8, 33, 33).to(device),
            'offset': torch.randn(2, deform * 18, side, side).to(device),
            'mask': torch.rand(2, deform * 9, side, side).to(device),
            'weight': torch.randn(8, 8 // groups, 3, 3).to(device),
            'bias': torch.randn(8).to(device),
        }
        name = f'stride {stride}, dilation {dilation}, groups {groups}/{deform}'
        plain = {key: tensors[key] for key in ('input', 'offset', 'weight')}
        yield (
            f'deform_conv2d, {name}',
            lambda t=plain, g=geometry: with_gradients(
                lambda *x: ops.deform_conv2d(*x, *g), **t
            ),
        )
        yield (
            f'modulated_deform_conv2d, {name}',
            lambda t=tensors, g=geometry: with_gradients(
                lambda *x: ops.modulated_deform_conv2d(*x, *g), **t
            ),
        )


def difference(a: Tensor, b: Tensor) -> float:
    """Largest difference, relative to the largest value; infinite between shapes."""
    if a.shape != b.shape:
        return float('inf')
    if a.numel() == 0:
        return 0.0
    scale = max(float(b.abs().max()), 1.0)
    return float((a.double() - b.double()).abs().max()) / scale


def compare(name: str, call: Call, compiled: object, fallback: object) -> bool:
    """Print the differences of one case; False when they are too large."""
    use(compiled)
    try:
        expected = call()
    except RuntimeError as error:  # roi_pool has no CPU kernel in mmcv
        print(f'{name}: not compiled for this device ({str(error).splitlines()[0]})')
        return True
    use(fallback)
    got = call()
    gaps = {key: difference(got[key], expected[key]) for key in expected}
    text = ', '.join(f'{key} {gap:.1e}' for key, gap in gaps.items())
    agrees = max(gaps.values()) <= TOLERANCE
    print(f'{name}: {text}{"" if agrees else "   TOO LARGE"}')
    return agrees


def main() -> int:
    compiled = load_compiled()
    if compiled is None:
        print('no compiled mmcv here, nothing to compare with', file=sys.stderr)
        return 2
    from uniformer_backbones.compat.mmcv_ext import make_fallback_module

    fallback = make_fallback_module()
    agree = True
    for device in ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu',):
        print(f'largest differences on {device}, relative to the largest value')
        torch.manual_seed(0)
        for cases in (box_cases, region_cases, convolution_cases):
            for name, call in cases(device):
                agree = compare(name, call, compiled, fallback) and agree
    return 0 if agree else 1


if __name__ == '__main__':
    sys.exit(main())
