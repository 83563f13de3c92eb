"""Balanced assignment of configurations to models: a softmax of scores, scaled until both marginals are uniform.

Source:
    Javan Roshtkhari, Toews, Pedersoli 2023, Balanced Mixture of SuperNets, PMLR 224:8, section 3; iterative proportional
    fitting: Deming, Stephan 1940. Deviation: all is done with logarithms, so that low temperatures need no floor against
    underflow. A floor would keep configurations undecided whose scores are far apart.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "balanced_assignment"]

TOLERANCE: Final = 1e-4
"""Largest divergence of the column marginal from the uniform one, in nats."""
_SWEEPS: Final = 2000


def balanced_assignment(scores: NDArray[Any], temperature: float) -> tuple[NDArray[np.float64], int]:
    """Returns the joint distribution over configurations and models, and the sweeps that it took.

    Args:
        scores: ``(configurations, models)``, larger is better; finite.
        temperature: of the softmax; towards 0, each configuration has one model.

    Shape:
        ``(configurations, models)``; each row sums to ``1 / configurations``, the columns to ``1 / models`` within
        ``TOLERANCE`` (as far as 2000 sweeps come).

    Example:
        >>> joint, sweeps = balanced_assignment(np.ones((3, 2)), 1.0)
        >>> joint.round(4).tolist(), sweeps
        ([[0.1667, 0.1667], [0.1667, 0.1667], [0.1667, 0.1667]], 1)
    """
    logits = np.asarray(scores, dtype=np.float64) / temperature
    rows, columns = logits.shape
    for sweep in range(1, _SWEEPS + 1):
        logits = logits - (np.logaddexp.reduce(logits, axis=1, keepdims=True) + math.log(rows))
        marginal = np.logaddexp.reduce(logits, axis=0) + math.log(columns)  # 0 where uniform
        if float((np.exp(marginal) * marginal).mean()) < TOLERANCE or sweep == _SWEEPS:
            break
        logits = logits - marginal
    return np.exp(logits), sweep
