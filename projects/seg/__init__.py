"""Segmentation on mmseg: what a config's ``custom_imports`` registers."""

# First: without it, mmseg.models cannot be imported from the wheel.
import uniformer_backbones  # noqa: F401
from projects.seg import datasets, loading, segmentor

__all__ = ['datasets', 'loading', 'segmentor']
