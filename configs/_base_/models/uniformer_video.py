"""UniFormer-S in 3D from ImageNet weights; mean of the last map, a linear layer."""

model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='uniformer_backbones.UniFormer',
        arch='small',
        ndim=3,
        out_norm='batch',
        drop_path_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='checkpoints/uniformer_small_in1k.pth',
            inflate='average',
        ),
    ),
    cls_head=dict(type='ClipHead', num_classes=400, average_clips='score'),
    data_preprocessor=dict(
        type='ClipDataPreprocessor',
        erasing=dict(probability=0.25),
        mixing=dict(num_classes=400, label_smoothing=0.1),
    ),
)
