"""Search problems with known functions: a conditional space, two objectives that conflict, and a constraint."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from automl.search import Measurement
from automl.space import Architecture, Categorical, Dimension, Ordinal, SearchSpace

__all__ = ["REFERENCE", "cost_excess", "error_and_cost", "large_space", "measure", "small_space"]

REFERENCE: Final = (10.0, 13.0)
"""Reference point of the hypervolume for ``error_and_cost``: no value of either objective is above it."""
_LAYERS: Final = 6
_COST: Final = {"conv": 1.0, "pool": 0.3, "attention": 1.5}
_BOUND: Final = 0.9


def small_space() -> SearchSpace:
    """Returns a conditional space with a forbidden combination; 37 architectures."""
    dimensions: dict[str, Dimension] = {
        "op": Categorical("conv", "pool", "attention"),
        "depth": Ordinal(1, 2, 3),
        "kernel": Ordinal(3, 5, 7),
        "width": Ordinal(8, 24),
        "heads": Ordinal(1, 2, 4),
    }
    return SearchSpace.build(
        dimensions,
        conditions={"kernel": {"op": "conv"}, "heads": {"op": "attention"}, "width": {"op": ["conv", "attention"]}},
        forbidden=[{"op": "attention", "depth": 3, "heads": 4}],
    )


def large_space() -> SearchSpace:
    """Returns the space of ``error_and_cost``: three to six layers of own kinds; 19 dimensions, 67,368,000 architectures."""
    dimensions: dict[str, Dimension] = {"depth": Ordinal(*range(_LAYERS // 2, _LAYERS + 1))}
    conditions: dict[str, dict[str, list[int] | list[str]]] = {}
    for layer in range(1, _LAYERS + 1):
        dimensions[f"layer{layer}.op"] = Categorical(*_COST)
        dimensions[f"layer{layer}.width"] = Ordinal(8, 16, 32, 64)
        dimensions[f"layer{layer}.kernel"] = Ordinal(3, 5, 7)
        if layer > _LAYERS // 2:
            deep_enough = list(range(layer, _LAYERS + 1))
            conditions[f"layer{layer}.op"] = {"depth": deep_enough}
            conditions[f"layer{layer}.width"] = {"depth": deep_enough}
        conditions[f"layer{layer}.kernel"] = {f"layer{layer}.op": ["conv"]}
    return SearchSpace.build(dimensions, conditions=conditions)


def error_and_cost(architecture: Architecture) -> tuple[float, float]:
    """Returns two conflicting objectives of an architecture of ``large_space``, both to be minimised.

    Convolutions pay off in early layers, attention in late ones, width with diminishing returns; everything costs.
    """
    gain = cost = 0.0
    for layer in range(1, int(architecture["depth"]) + 1):
        operation = str(architecture[f"layer{layer}.op"])
        width = float(architecture[f"layer{layer}.width"])
        kernel = float(architecture.get(f"layer{layer}.kernel", 5))
        late = (layer - 1) / (_LAYERS - 1)
        fit = {"conv": 1 - late, "pool": 0.1, "attention": late}[operation]
        gain += fit * math.log2(width) / 6 * (1.2 if kernel == 5 else 1.0)
        cost += _COST[operation] * width / 64 * kernel / 5
    return 10 / (1 + gain), cost


def cost_excess(architecture: Architecture) -> float:
    """Returns by how much the cost exceeds 0.9, which 15 % of random architectures stay below."""
    return max(0.0, error_and_cost(architecture)[1] - _BOUND)


def measure(
    architectures: Iterable[Architecture], *, objectives: int = 2, constrained: bool = False
) -> list[Measurement]:
    """Returns the measurements of architectures of ``large_space``.

    Args:
        architectures: what to measure.
        objectives: 1 for the error alone, 2 for error and cost.
        constrained: add the violation of ``cost <= 0.9``.
    """
    return [
        Measurement(
            architecture=a,
            values=error_and_cost(a)[:objectives],
            violations=(cost_excess(a),) if constrained else (),
        )
        for a in architectures
    ]
