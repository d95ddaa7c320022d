"""The mathematics of UniFormer: PyTorch and timm only, no framework."""
