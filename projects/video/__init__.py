"""Video recognition on mmaction2: what a config's ``custom_imports`` registers."""

# First: without it, mmaction.models cannot be imported from the wheel.
import uniformer_backbones  # noqa: F401
from projects.video import (
    augment,
    datasets,
    faults,
    head,
    light_head,
    loading,
    preprocessor,
    sampling,
)

__all__ = [
    'augment',
    'datasets',
    'faults',
    'head',
    'light_head',
    'loading',
    'preprocessor',
    'sampling',
]
