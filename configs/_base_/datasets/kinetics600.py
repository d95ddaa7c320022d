"""Kinetics-600, read as Kinetics-400 is."""

_base_ = './kinetics400.py'

videos = dict(data_prefix=dict(video='data/kinetics600'), classes='k600')
train_dataloader = dict(dataset=dict(ann_file='data/kinetics600/train.csv', **videos))
val_dataloader = dict(dataset=dict(ann_file='data/kinetics600/val.csv', **videos))
test_dataloader = dict(dataset=dict(ann_file='data/kinetics600/test.csv', **videos))
