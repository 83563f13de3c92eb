"""The spaces of 45 dimensions that the search budgets are stated for."""

from __future__ import annotations

from automl.space import Categorical, Dimension, Ordinal, SearchSpace


def flat45() -> SearchSpace:
    """45 dimensions of three choices, half of them ordered."""
    dimensions: dict[str, Dimension] = {
        f"d{i}": Ordinal(3, 5, 7) if i % 2 else Categorical("a", "b", "c") for i in range(45)
    }
    return SearchSpace.build(dimensions)


def depth45() -> SearchSpace:
    """The shape of MobileNetV3 in once-for-all: the third and fourth block of a stage exist only if it is deep enough."""
    dimensions: dict[str, Dimension] = {}
    conditions: dict[str, dict[str, list[int]]] = {}
    for stage in range(5):
        dimensions[f"stage{stage}.depth"] = Ordinal(2, 3, 4)
        for block in range(4):
            for part, choices in (("kernel", (3, 5, 7)), ("expansion", (3, 4, 6))):
                name = f"stage{stage}.blocks.{block}.{part}"
                dimensions[name] = Ordinal(*choices)
                if block >= 2:
                    conditions[name] = {f"stage{stage}.depth": [d for d in (2, 3, 4) if d > block]}
    return SearchSpace.build(dimensions, conditions)
