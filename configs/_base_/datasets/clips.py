"""What happens to the frames of a clip, whatever it was read from."""

pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]
augment = [
    dict(type='TimmRandAugment', policy='rand-m7-n4-mstd0.5-inc1'),
    dict(
        type='TimmResizedCrop',
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
    ),
    dict(type='Resize', scale=(224, 224), keep_ratio=False),
]
train_pipeline = [*augment, dict(type='Flip', flip_ratio=0.5), *pack]
centre_pipeline = [
    dict(type='Resize', scale=(-1, 224)),
    dict(type='CenterCrop', crop_size=224),
    *pack,
]
three_crop_pipeline = [
    dict(type='Resize', scale=(-1, 224)),
    dict(type='ThreeCrop', crop_size=224),
    *pack,
]
val_evaluator = dict(type='AccMetric')
test_evaluator = val_evaluator
