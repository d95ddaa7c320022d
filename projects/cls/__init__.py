"""Image classification on mmpretrain."""

# First: without it, mmpretrain's imports warn of missing mmcv operators.
import uniformer_backbones  # noqa: F401
