"""Shifts and mirror images of whole batches against a plain loop over images."""

from __future__ import annotations

import numpy as np
import torch

from automl.tasks.augmentation import flip_images, pad_images, shift_images


def _images(samples: int = 7) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).normal(size=(samples, 2, 5, 6)))


def test_border_has_the_level_of_each_channel_and_the_image_is_kept():
    images, fill = _images(), torch.tensor([-1.5, 4.0], dtype=torch.float64)
    padded = pad_images(images, 2, fill)
    assert padded.shape == (7, 2, 9, 10)
    assert torch.allclose(padded[:, :, 2:-2, 2:-2], images, rtol=0, atol=1e-12)
    for channel in range(2):
        assert torch.equal(padded[:, channel, :2].unique(), fill[channel : channel + 1])
        assert torch.equal(padded[:, channel, :, -2:].unique(), fill[channel : channel + 1])


def test_every_window_is_a_shift_of_its_own_image():
    margin = 2
    padded = pad_images(_images(), margin, torch.zeros(2))
    rows = torch.tensor([4, 0, 4, 6, 2])
    windows = shift_images(padded, rows, margin, np.random.default_rng(9))
    seen = set()
    for window, row in zip(windows, rows.tolist(), strict=True):
        matches = [
            (dy, dx)
            for dy in range(2 * margin + 1)
            for dx in range(2 * margin + 1)
            if torch.equal(window, padded[row, :, dy : dy + 5, dx : dx + 6])
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    assert len(seen) > 1


def test_shifts_are_uniform_along_both_axes():
    margin, repeats = 1, 3000
    marked = torch.zeros(1, 1, 3, 3)
    marked[0, 0, 1, 1] = 1
    windows = shift_images(
        pad_images(marked, margin, torch.zeros(1)),
        torch.zeros(repeats, dtype=torch.long),
        margin,
        np.random.default_rng(0),
    )
    counts = windows.sum(dim=(0, 1)).numpy()
    assert counts.sum() == repeats
    assert np.all(np.abs(counts - repeats / 9) < 5 * np.sqrt(repeats / 9))


def test_flip_mirrors_about_half_of_the_images_and_keeps_the_rest():
    images = _images(200)
    flipped = flip_images(images, np.random.default_rng(1))
    mirrored = [bool(torch.equal(a, b.flip(-1))) for a, b in zip(flipped, images, strict=True)]
    kept = [bool(torch.equal(a, b)) for a, b in zip(flipped, images, strict=True)]
    assert all(m != k for m, k in zip(mirrored, kept, strict=True))
    assert 60 < sum(mirrored) < 140


def test_same_generator_same_augmentation():
    padded, rows = pad_images(_images(), 1, torch.zeros(2)), torch.arange(7)
    first, again, other = (shift_images(padded, rows, 1, np.random.default_rng(s)) for s in (4, 4, 5))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
