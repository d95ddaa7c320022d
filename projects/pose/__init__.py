"""Poses on mmpose: what a config's ``custom_imports`` registers."""

# First: without it, mmpose.models cannot be imported from the wheel.
import uniformer_backbones  # noqa: F401
from projects.pose import datasets, transforms

__all__ = ['datasets', 'transforms']
