"""Random changes of training images, for whole batches at once.

Source:
    Random shifts with padding and mirror images: He et al. 2016, arXiv:1512.03385, section 4.2.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["flip_images", "pad_images", "shift_images"]


def pad_images(images: Tensor, margin: int, fill: Tensor) -> Tensor:
    """Returns images with a border of ``margin`` pixels, from which ``shift_images`` cuts.

    Args:
        images: ``(samples, channels, height, width)``.
        margin: width of the border, in pixels.
        fill: value of the border for each channel, ``(channels,)``.

    Returns:
        ``(samples, channels, height + 2 margin, width + 2 margin)``.
    """
    samples, _, height, width = images.shape
    padded = fill.to(images)[:, None, None].repeat(samples, 1, height + 2 * margin, width + 2 * margin)
    padded[:, :, margin : margin + height, margin : margin + width] = images
    return padded


def shift_images(padded: Tensor, rows: Tensor, margin: int, rng: np.random.Generator) -> Tensor:
    """Cuts a window out of each padded image, shifted by up to ``margin`` pixels along each axis, uniformly.

    Args:
        padded: ``(samples, channels, height + 2 margin, width + 2 margin)``.
        rows: images of the batch, ``(batch,)`` int64.
        margin: largest shift, in pixels.
        rng: source of the shifts.

    Returns:
        ``(batch, channels, height, width)``.
    """
    offsets = torch.from_numpy(rng.integers(0, 2 * margin + 1, size=(2, len(rows), 1))).to(padded.device)
    height, width = padded.shape[2] - 2 * margin, padded.shape[3] - 2 * margin
    vertical = offsets[0] + torch.arange(height, device=padded.device)  # (batch, height)
    horizontal = offsets[1] + torch.arange(width, device=padded.device)  # (batch, width)
    windows = padded[rows[:, None, None], :, vertical[:, :, None], horizontal[:, None, :]]  # channels come last
    return windows.permute(0, 3, 1, 2).contiguous()


def flip_images(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Mirrors each image left to right with probability one half; ``(batch, channels, height, width)`` in and out."""
    flipped = torch.from_numpy(rng.random(len(images)) < 0.5).to(images.device)
    return torch.where(flipped[:, None, None, None], images.flip(-1), images)
