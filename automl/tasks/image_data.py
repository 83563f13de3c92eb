"""Labelled images as one array, whatever they were read from, and the checks that all sources share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from automl.errors import DataError

__all__ = ["ImageData", "check_memory"]


@dataclass(frozen=True, kw_only=True)
class ImageData:
    """Labelled images of one shape.

    Args:
        source: name of the built-in source, or path; every message starts with it.
        pixels: ``(samples, channels, height, width)`` float32; integers of the source are scaled to 0…1.
        labels: class of each image, ``(samples,)`` int64.
        classes: name of each class, in the order of the labels.
        skipped: file and reason of every image that was left out.

    Raises:
        DataError: no image, pixels that are not finite, fewer than two classes, or labels out of range.
    """

    source: str
    pixels: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        samples = len(self.pixels)
        if samples == 0 or min(self.pixels.shape) == 0:
            raise DataError(f"{self.source}: holds no image (shape {list(self.pixels.shape)}).")
        if len(self.labels) != samples:
            raise DataError(f"{self.source}: has {samples} images but {len(self.labels)} labels; expected one each.")
        bad = np.flatnonzero(~np.isfinite(self.pixels).reshape(samples, -1).all(axis=1))
        if len(bad):
            raise DataError(
                f"{self.source}: image {bad[0]} has a pixel that is NaN or infinite, as have {len(bad)} of {samples} "
                f"images; expected finite numbers. Remove these images or fill in their pixels."
            )
        outside = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if len(outside):
            raise DataError(
                f"{self.source}: label {self.labels[outside[0]]} of sample {outside[0]} is out of range; expected 0 to "
                f"{len(self.classes) - 1} for {len(self.classes)} classes."
            )
        present = np.unique(self.labels)
        if len(present) < 2:
            raise DataError(
                f"{self.source}: all {samples} samples are of one class, {self.classes[present[0]]!r}; expected at "
                f"least two classes."
            )

    def fingerprint(self) -> str:
        """Returns a digest of pixels, labels and class names, 16 hexadecimal digits."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.pixels).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:16]


def check_memory(source: str, values: int, limit: int) -> None:
    """Refuses data before they are read if they would take more than ``limit`` bytes as float32.

    Raises:
        DataError: names the source, both sizes and the option to raise.
    """
    if values * 4 > limit:
        raise DataError(
            f"{source}: all images together would take {values * 4 / 2**30:.1f} GiB as float32; the limit is "
            f"{limit / 2**30:.1f} GiB. Use smaller or fewer images, or raise the option 'max_bytes'."
        )
