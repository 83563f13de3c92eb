"""Hypothesis strategies for spaces, architectures and weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.errors import SpaceError
from automl.space import Architecture, Categorical, Dimension, Ordinal, Scalar, SearchSpace
from automl.testing.weights import randomise

__all__ = ["architectures", "dimensions", "modules", "spaces", "spaces_with_architectures", "tensors"]

_LETTERS = "abcd"


@st.composite
def dimensions(draw: st.DrawFn, *, max_choices: int = 4) -> Dimension:
    """Draws an ordinal of unequal steps or a categorical of strings, with one to ``max_choices`` choices.

    Args:
        draw: given by Hypothesis.
        max_choices: largest number of choices, at most 4.
    """
    count = draw(st.integers(1, max_choices))
    if draw(st.booleans()):
        return Categorical(*_LETTERS[:count])
    steps = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    return Ordinal(*(sum(steps[: i + 1]) for i in range(count)))


@st.composite
def spaces(draw: st.DrawFn, *, max_dimensions: int = 5, rules: bool = True) -> SearchSpace:
    """Draws a space whose dimensions exist under conditions on others, some under alternatives, in any order.

    Args:
        draw: given by Hypothesis.
        max_dimensions: largest number of dimensions.
        rules: also draw forbidden combinations; at least one architecture is left.
    """
    count = draw(st.integers(1, max_dimensions))
    named = {f"d{i}": draw(dimensions(max_choices=3)) for i in range(count)}
    conditions: dict[str, list[dict[str, list[Scalar]]]] = {}
    for i in range(1, count):
        alternatives = draw(st.lists(_clauses(named, [f"d{j}" for j in range(i)]), max_size=2))
        if alternatives:
            conditions[f"d{i}"] = alternatives
    forbidden = draw(st.lists(_clauses(named, sorted(named)), max_size=2)) if rules else []
    order = draw(st.permutations(sorted(named)))
    shuffled = {name: named[name] for name in order}
    try:
        return SearchSpace(shuffled, conditions, forbidden)
    except SpaceError:  # the rules exclude everything
        return SearchSpace(shuffled, conditions)


def architectures(space: SearchSpace) -> st.SearchStrategy[Architecture]:
    """Draws architectures of a space; small spaces are drawn from evenly and shrink to the smallest.

    Args:
        space: the space.
    """
    if space.size() <= 1000:
        return st.sampled_from(list(space.enumerate()))
    return st.builds(space.sample, _generators())


@st.composite
def spaces_with_architectures(
    draw: st.DrawFn, *, count: int = 1, max_dimensions: int = 5, rules: bool = True
) -> tuple[SearchSpace, list[Architecture]]:
    """Draws a space and ``count`` of its architectures, not necessarily different.

    Args:
        draw: given by Hypothesis.
        count: number of architectures.
        max_dimensions: see ``spaces``.
        rules: see ``spaces``.
    """
    space = draw(spaces(max_dimensions=max_dimensions, rules=rules))
    return space, [draw(architectures(space)) for _ in range(count)]


@st.composite
def modules(draw: st.DrawFn, build: Callable[[], nn.Module], *, dtype: torch.dtype = torch.float64) -> nn.Module:
    """Draws a module with random asymmetric weights and statistics, in evaluation mode.

    Args:
        draw: given by Hypothesis.
        build: makes the module; its own initial weights are replaced.
        dtype: type of the weights; double precision by default, so that equality can be demanded.
    """
    module = build().to(dtype).eval()
    randomise(module, draw(st.integers(0, 2**31 - 1)))
    return module


@st.composite
def tensors(draw: st.DrawFn, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draws a tensor of random asymmetric numbers.

    Args:
        draw: given by Hypothesis.
        *shape: its shape.
        dtype: its type.
    """
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31 - 1)))
    return torch.randn(shape, generator=generator, dtype=dtype) + 0.3


@st.composite
def _clauses(draw: st.DrawFn, named: dict[str, Dimension], names: list[str]) -> dict[str, list[Scalar]]:
    chosen = draw(st.sets(st.sampled_from(names), min_size=1, max_size=2))
    return {
        name: draw(st.lists(st.sampled_from(named[name].choices), min_size=1, max_size=2, unique=True))
        for name in sorted(chosen)
    }


def _generators() -> st.SearchStrategy[np.random.Generator]:

    return st.builds(np.random.default_rng, st.integers(0, 2**31 - 1))
