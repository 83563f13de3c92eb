"""Between measured values and targets that a model can learn: a monotone map that tames long upper tails."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from automl.search.pareto import FloatVector

__all__ = ["Scale"]

_FLOOR: Final = 0.5
_LARGEST: Final = 30.0


class Scale:
    """Logarithm above the smallest value, shifted so that the better half of the values is hardly bent.

    ``target = log(value - smallest + c)`` with ``c`` half the way from the smallest to the median. Errors and times have long
    tails of failures and giants: without this, a few networks at chance level would decide the variance that a model
    grants to the good ones.

    Args:
        values: ``(n,)`` finite measured values.

    Attributes:
        floor: what no target's value is below; ``value = floor + exp(target)``.
    """

    def __init__(self, values: FloatVector) -> None:
        self._low: Final = float(values.min())
        half = float(np.median(values)) - self._low
        span = float(np.ptp(values)) or 1.0
        self._shift: Final = max(_FLOOR * half, 1e-3 * span)
        self.floor: Final = self._low - self._shift

    def target(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns targets of values; values below the smallest one seen count as it."""
        result: npt.NDArray[np.float64] = np.log(np.maximum(np.asarray(values) - self._low, 0.0) + self._shift)
        return result

    def value(self, targets: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Returns values of targets."""
        result: npt.NDArray[np.float64] = np.exp(np.minimum(targets, _LARGEST)) + self.floor
        return result
