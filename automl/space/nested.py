"""Nested families: subnetworks of which, along each coordinate, a smaller one is a part of every larger one.

Source:
    Valipour et al. 2023, SortedNet, arXiv:2309.00255, section 3 (sub-models by truncation of dimensions).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final, final

import numpy as np

from automl.errors import SpaceError
from automl.space.architecture import Architecture
from automl.space.dimensions import Ordinal, Scalar
from automl.space.draws import allowed, draw_among
from automl.space.space import SearchSpace

__all__ = ["NestedFamily"]


@final
class NestedFamily:
    """At most ``limit`` architectures on a grid of coordinates, from the smallest to the largest.

    A coordinate moves a group of ordinal dimensions, such as all depths or all widths, through levels: one choice of one
    dimension larger at each, in step with each other, so that every level contains the one before. Where the grid of all
    levels has more than ``limit`` points, each coordinate keeps fewer levels, evenly spaced with both ends. With one group
    the family is a chain: every member is a part of the next.

    Dimensions without order stand where the largest architecture of the space has them; ``sample`` draws them.

    Args:
        space: the search space.
        groups: names of ordinal dimensions that move together, a group for each coordinate; empty groups are left out.
        limit: most members, at least 2. Below two levels for each coordinate, all move as one.

    Attributes:
        members: the architectures, distinct and allowed, by level of the first coordinate, then of the next.

    Raises:
        SpaceError: no dimension has an order, or every member is forbidden.

    Example:
        >>> space = SearchSpace.build({"depth": Ordinal(1, 2), "width": Ordinal(4, 8, 16)})
        >>> len(NestedFamily(space, [["depth"], ["width"]], limit=160).members)
        6
        >>> [tuple(a.values()) for a in NestedFamily(space, [["depth", "width"]], limit=3).members]
        [(1, 4), (2, 8), (2, 16)]
    """

    def __init__(self, space: SearchSpace, groups: Sequence[Sequence[str]], *, limit: int) -> None:
        filled = [group for group in groups if group]
        if not filled:
            raise SpaceError("this space has no dimension with an order, so its subnetworks do not nest.")
        if 2 ** len(filled) > limit:
            filled = [[name for name in space.names if any(name in group for group in filled)]]
        self._space: Final = space
        chains = [_chain({n: space.dimensions[n] for n in group}) for group in filled]  # type: ignore[misc]
        counts = _level_counts([len(chain) for chain in chains], limit)
        levels = [_thinned(chain, count) for chain, count in zip(chains, counts, strict=True)]

        ordered = {name for group in filled for name in group}
        fixed = space.largest()
        self._unordered: Final = {
            name: dimension.choices for name, dimension in space.dimensions.items() if name not in ordered
        }
        reference = {name: fixed.get(name, choices[-1]) for name, choices in self._unordered.items()}
        found: dict[Architecture, dict[str, Scalar]] = {}
        for point in itertools.product(*levels):
            ordinals = {name: value for level in point for name, value in level.items()}
            architecture = allowed(space, {**reference, **ordinals})
            if architecture is not None:
                found.setdefault(architecture, ordinals)
        if not found:
            raise SpaceError("every subnetwork of the nested family is forbidden by the rules of the space.")
        self.members: Final = tuple(found)
        self._ordinals: Final = tuple(found.values())

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws a member uniformly, and with it a choice of every dimension that has no order."""
        number = int(rng.integers(len(self.members)))
        if not self._unordered:
            return self.members[number]
        fixed = {name: (value,) for name, value in self._ordinals[number].items()}
        return draw_among(self._space, {**self._unordered, **fixed}, rng) or self.members[number]

    def __len__(self) -> int:
        return len(self.members)


def _chain(dimensions: Mapping[str, Ordinal]) -> list[dict[str, Scalar]]:
    """Values from all smallest to all largest, one step of one dimension at a time, in proportion to their choices."""
    steps = sorted(
        ((index - 0.5) / (len(dimension.choices) - 1), position, name)
        for position, (name, dimension) in enumerate(dimensions.items())
        for index in range(1, len(dimension.choices))
    )
    positions = dict.fromkeys(dimensions, 0)
    chain = [dict(positions)]
    for _, _, name in steps:
        positions[name] += 1
        chain.append(dict(positions))
    return [{name: dimensions[name].choices[i] for name, i in level.items()} for level in chain]


def _level_counts(lengths: Sequence[int], limit: int) -> tuple[int, ...]:
    """The grid with most points among those of at most ``limit``, the most even of several."""
    ranges = [range(2, min(length, limit) + 1) for length in lengths]
    grids = (counts for counts in itertools.product(*ranges) if math.prod(counts) <= limit)
    return max(grids, key=lambda counts: (math.prod(counts), min(counts)))


def _thinned(chain: Sequence[dict[str, Scalar]], count: int) -> list[dict[str, Scalar]]:
    return [chain[round(position)] for position in np.linspace(0, len(chain) - 1, count)]
