"""Image classifier on UniFormer-S: the average of the last map, then a linear layer.

Mean and deviation are ImageNet's, on 0-255. Training erases and mixes normalised
images on the device. The smoothing of the loss also applies to mixed targets.
"""

model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(
        type='ImageDataPreprocessor',
        num_classes=1000,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
        erasing=dict(probability=0.25),
        mixing=dict(mixup_alpha=0.8, cutmix_alpha=1.0),
    ),
    backbone=dict(
        type='uniformer_backbones.UniFormer', arch='small', drop_path_rate=0.1
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=512,
        loss=dict(type='LabelSmoothLoss', label_smooth_val=0.1, mode='original'),
        init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
    ),
)
