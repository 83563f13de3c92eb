"""What the probes of this package are to their callers."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["FeatureProbe"]


class FeatureProbe(Protocol):
    """A number read off node features, wherever in a network they are taken.

    Probes are built without arguments, or with keyword options; calling one has no effect on the features.
    """

    def __call__(self, features: Tensor) -> float:
        """Returns the value for features ``(nodes, width)``."""
