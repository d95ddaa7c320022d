"""Something-Something V1, read as V2 is."""

_base_ = './sthv2.py'

frames = dict(
    data_prefix=dict(img='data/sthv1'), filename_tmpl='{:05}.jpg', classes='sthv1'
)
train_dataloader = dict(dataset=dict(ann_file='data/sthv1/train.txt', **frames))
val_dataloader = dict(dataset=dict(ann_file='data/sthv1/val.txt', **frames))
test_dataloader = dict(dataset=dict(ann_file='data/sthv1/val.txt', **frames))
