"""COCO-style instance detection and segmentation on mmdet."""
