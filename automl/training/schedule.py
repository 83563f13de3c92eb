"""The learning rate as a function of the step, so that a resumed schedule has no state to restore but the step.

Source:
    Cosine: Loshchilov, Hutter 2017, arXiv:1608.03983, eq. 5 with a single period; linear warm-up: Goyal et al. 2017,
    arXiv:1706.02677, section 2.2.
"""

from __future__ import annotations

import math
from typing import Literal

__all__ = ["learning_rate"]


def learning_rate(
    step: int,
    *,
    highest: float,
    warmup_steps: int,
    total_steps: int,
    schedule: Literal["cosine", "constant"] = "cosine",
) -> float:
    """Returns the learning rate of a step.

    Args:
        step: number of steps before this one, 0 to ``total_steps − 1``.
        highest: learning rate at the end of the warm-up.
        warmup_steps: steps of linear rise; the first step has ``highest / (warmup_steps + 1)``.
        total_steps: steps of the whole training; the cosine would reach zero one step after the last.
        schedule: what follows the warm-up.
    """
    warmup_steps = min(warmup_steps, total_steps)
    if step < warmup_steps:
        return highest * (step + 1) / (warmup_steps + 1)
    if schedule == "constant":
        return highest
    passed = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return highest * 0.5 * (1 + math.cos(math.pi * passed))
