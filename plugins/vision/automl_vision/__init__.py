"""Blocks and heads for the signal ``image``: feature maps of shape ``[N, C, H, W]``."""

__all__: list[str] = []
