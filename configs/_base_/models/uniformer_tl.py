"""Image classifier with token labeling: MixToken, and a second head on every token.

Attention heads have 32 channels where the plain S and B have 64; nothing in a
checkpoint tells. Mean and deviation are 127.5 because timm 0.4.12, which the release
asks for, gives them to its vision transformers; timm 0.4.5 gave ImageNet's,
mean=[123.675, 116.28, 103.53] and std=[58.395, 57.12, 57.375].
"""

_base_ = './uniformer_cls.py'

model = dict(
    type='TokenLabelingClassifier',
    mix_beta=1.0,
    data_preprocessor=dict(
        mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], mixing=None
    ),
    backbone=dict(head_dim=32),
    neck=None,
    head=dict(
        _delete_=True,
        type='TokenLabelingHead',
        num_classes=1000,
        in_channels=512,
        cls_weight=1.0,
        dense_weight=1.0,
        smoothing=0.1,
        token_share=0.5,
    ),
)
