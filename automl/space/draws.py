"""Random architectures whose dimensions keep to some of their choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from automl.errors import SpaceError
from automl.space.architecture import Architecture
from automl.space.dimensions import Scalar
from automl.space.space import SearchSpace

__all__ = ["allowed", "draw_among"]

_DRAWS: Final = 64


def draw_among(
    space: SearchSpace, choices: Mapping[str, Sequence[Scalar]], rng: np.random.Generator
) -> Architecture | None:
    """Draws every dimension uniformly among the choices given; None if 64 draws are forbidden combinations.

    Args:
        space: the search space.
        choices: for each dimension of the space at least one of its choices.
        rng: source of the draws.
    """
    for _ in range(_DRAWS):
        drawn = {name: among[int(rng.integers(len(among)))] for name, among in choices.items()}
        architecture = allowed(space, drawn)
        if architecture is not None:
            return architecture
    return None


def allowed(space: SearchSpace, values: Mapping[str, Scalar]) -> Architecture | None:
    """Returns the architecture of values for all dimensions of a space; None if it is a forbidden combination."""
    try:
        return space.canonical(values)
    except SpaceError:  # names and values are the space's own, so nothing else can be wrong
        return None
