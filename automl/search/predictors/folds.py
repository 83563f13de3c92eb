"""Folds of cross-validation, the same for every predictor so that they are compared on equal terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from automl.search.pareto import IntVector

__all__ = ["folds"]

_FOLDS: Final = 5


def folds(count: int) -> Iterator[tuple[IntVector, IntVector]]:
    """Yields positions to train on and to test on; every position is tested once. Drawn by a fixed seed."""
    order = np.random.default_rng(0).permutation(count)
    parts = min(_FOLDS, count)
    for part in range(parts):
        test = order[part::parts]
        yield np.setdiff1d(order, test), test
