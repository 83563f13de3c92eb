"""Error: share of wrong predictions on held-out data."""

from __future__ import annotations

import math
from typing import ClassVar, final

from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.value import Value

__all__ = ["Error"]


@final
class Error(Objective):
    """Share of wrong predictions on the validation part, 0 to 1, with its 95 % Wilson interval.

    Source:
        Wilson 1927, "Probable inference, the law of succession, and statistical inference", equation for the interval of a
        proportion. It speaks about the samples; the noise of training is not in it.
    """

    name: ClassVar[str] = "error"

    def measure(self, candidate: Candidate) -> Value:
        error = candidate.quality()["error"]
        samples = candidate.samples()
        low, high = wilson_interval(error, samples)
        return Value(error, low, high, {"part": "validation", "samples": samples})


def wilson_interval(share: float, samples: int, z: float = 1.959964) -> tuple[float, float]:
    """Returns the interval of a proportion that was seen as ``share`` of ``samples``.

    Example:
        >>> [round(end, 4) for end in wilson_interval(0.0, 100)]
        [0.0, 0.037]
    """
    if samples < 1:
        return 0.0, 1.0
    spread = z * math.sqrt(share * (1 - share) / samples + (z / (2 * samples)) ** 2)
    scale, centre = 1 + z * z / samples, share + z * z / (2 * samples)
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
