"""How well predicted latencies agree with measured ones, beside how well a measurement agrees with itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Agreement", "agreement", "kendall_tau"]


@dataclass(frozen=True)
class Agreement:
    """Two series of times of the same networks.

    Attributes:
        tau: Kendall's rank correlation; None for fewer than two different values.
        error: median of ``|first - second| / second``.
        bias: median of ``(first - second) / second``.
    """

    tau: float | None
    error: float
    bias: float


def agreement(first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Compares two series.

    Args:
        first: predicted times, or times of another measurement.
        second: measured times, all positive.

    Example:
        >>> agreement([1.1, 2.2, 3.3], [1.0, 2.0, 3.0]).tau
        1.0
    """
    relative = np.asarray(first, dtype=float) / np.asarray(second, dtype=float) - 1
    return Agreement(kendall_tau(first, second), float(np.median(np.abs(relative))), float(np.median(relative)))


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Returns the rank correlation tau-b of two series; None where one of them is constant.

    Source:
        Kendall 1945, "The treatment of ties in ranking problems", Biometrika 33, section 5.
    """
    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    i, j = np.triu_indices(len(x), 1)
    a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
    untied = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / untied if untied else None
