"""UniFormer-S with token labeling, fine-tuned at 384 pixels for 60 epochs.

arXiv:2201.09450, table 3. Published: top-1 84.6; 22 M parameters, 11.9 G multiply-adds.
8 GPUs x 64 images.
"""

_base_ = [
    '../_base_/models/uniformer_tl.py',
    '../_base_/datasets/imagenet_tl_384.py',
    '../_base_/schedules/cls_tl_finetune_60e.py',
    '../_base_/cls_runtime.py',
]

model = dict(
    init_cfg=dict(
        type='Pretrained', checkpoint='checkpoints/uniformer_small_tl_224.pth'
    ),
)
