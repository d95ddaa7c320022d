"""COCO instances as mmdet reads them, 800 pixels high at most 1333 wide."""

_base_ = 'mmdet::_base_/datasets/coco_instance.py'
