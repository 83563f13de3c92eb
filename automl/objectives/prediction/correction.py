"""From sums of blocks to times of networks: a fitted line, and blocks that are fitted because nothing can look inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["Correction", "fit_correction", "fit_parts"]

Vector = npt.NDArray[np.float64]
_CONFIDENCE: Final = 1.959964
_PRIOR_WEIGHTS: Final = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-6)
_FOLDS: Final = 6


@dataclass(frozen=True)
class Correction:
    """``network = intercept + slope * sum of its parts``, in milliseconds.

    Attributes:
        intercept: what every network takes beside its parts, in milliseconds.
        slope: how much slower parts are in a network that nothing watches.
        spread: relative standard deviation of a network that the line has not seen (leave-one-out).
        models: number of whole networks that the line was fitted to.
        parts: how the times of parts were found: ``"inside"`` networks, or ``"fitted"`` to whole networks.
    """

    intercept: float
    slope: float
    spread: float
    models: int
    parts: str

    def predict(self, total: float) -> float:
        """Returns the time of a network in milliseconds from the sum of its parts."""
        return self.intercept + self.slope * total

    @property
    def margin(self) -> float:
        """Half of the 95 % prediction interval as a share of the prediction."""
        return _CONFIDENCE * self.spread


def fit_correction(totals: Sequence[float], measured: Sequence[float], parts: str) -> Correction:
    """Fits the line to whole networks by least squares of relative errors.

    A line with a negative intercept would promise that small networks take no time; then, and for fewer than three
    networks, the line goes through the origin.

    Args:
        totals: sum of the parts of each network, in milliseconds.
        measured: what each network takes as a whole, in milliseconds.
        parts: how the times of the parts were found.

    Raises:
        ValueError: there is no network, or a time is not positive.
    """
    x, y = np.asarray(totals, dtype=float), np.asarray(measured, dtype=float)
    if not len(x) or min(x.min(), y.min()) <= 0:
        raise ValueError("a correction needs at least one network, and times above zero.")
    intercept, slope = _line(x, y)
    spread = 0.0
    if len(x) > 2:
        left_out = []
        for i in range(len(x)):
            rest = np.arange(len(x)) != i
            a, b = _line(x[rest], y[rest])
            left_out.append((a + b * x[i]) / y[i] - 1)
        spread = math.sqrt(float(np.mean(np.square(left_out))))
    return Correction(intercept, slope, spread, len(x), parts)


def fit_parts(counts: Any, measured: Sequence[float], prior: Sequence[float]) -> Vector:
    """Returns times of parts, none negative, whose sums come closest to whole networks in relative terms.

    Where networks say too little about a part, its time is drawn towards a prior whose scale is fitted first: non-negative
    ridge regression (Lawson and Hanson 1974, *Solving Least Squares Problems*, chapter 23, on rows extended by the prior).
    How strongly is decided by cross-validation over the networks; with fewer than 12 of them, strongly.

    Args:
        counts: how often each network runs each part, ``(networks, parts)``.
        measured: what each network takes, in milliseconds.
        prior: what each part would take elsewhere, in any unit; positive.
    """
    matrix, y = np.asarray(counts, dtype=float), np.asarray(measured, dtype=float)
    guess = np.asarray(prior, dtype=float)
    rows = matrix * guess / y[:, None]
    rows /= _scale(rows)  # unknown: the factor of each prior, about 1
    chosen = _PRIOR_WEIGHTS[0]
    if len(y) >= 2 * _FOLDS:
        folds = np.arange(len(y)) % _FOLDS

        def left_out(weight: float) -> float:
            errors = [rows[folds == fold] @ _factors(rows[folds != fold], weight) - 1 for fold in range(_FOLDS)]
            return float(np.mean(np.square(np.concatenate(errors))))

        chosen = min(_PRIOR_WEIGHTS, key=left_out)
    return np.asarray(_factors(rows, chosen) * guess / _scale(matrix * guess / y[:, None]), dtype=float)


def _scale(rows: Vector) -> float:
    """Factor by which the rows of relative times are too large on average, by least squares."""
    totals = rows.sum(1)
    return float(np.square(totals).sum() / totals.sum())


def _factors(rows: Vector, weight: float) -> Vector:
    from sklearn.linear_model import LinearRegression

    root = math.sqrt(weight)
    parts = rows.shape[1]
    extended = np.vstack([rows, root * np.eye(parts)])
    target = np.concatenate([np.ones(len(rows)), np.full(parts, root)])
    return np.asarray(LinearRegression(fit_intercept=False, positive=True).fit(extended, target).coef_, dtype=float)


def _line(x: Vector, y: Vector) -> tuple[float, float]:
    rows, ones = np.column_stack([1 / y, x / y]), np.ones(len(y))
    if len(x) > 2 and np.ptp(x) > 1e-9 * x.max():
        (intercept, slope), *_ = np.linalg.lstsq(rows, ones, rcond=None)
        if intercept >= 0 and slope > 0:
            return float(intercept), float(slope)
    return 0.0, float(rows[:, 1].sum() / np.square(rows[:, 1]).sum())
