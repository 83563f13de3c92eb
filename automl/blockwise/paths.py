"""The paths of each stage of a space: which dimensions belong to a stage, and what they can be behind a given path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias, final

import numpy as np

from automl.blockwise.stage_run import held_dimensions
from automl.space import Architecture
from automl.space.walk import read_dimensions
from automl.supernet import Stage, Supernet

__all__ = ["Positions", "StagePaths"]

Positions: TypeAlias = tuple[int, ...]
"""Positions among the choices of every dimension of a space; -1 for inactive or open."""

_OPEN: Final = -1
_DRAWS: Final = 64


@final
class StagePaths:
    """Splits a space by stages. A dimension belongs to the first stage that holds it.

    Args:
        supernet: gives the space.
        stages: stages of its network.

    Attributes:
        own: numbers of the dimensions of each stage.
    """

    def __init__(self, supernet: Supernet, stages: Sequence[Stage]) -> None:
        self._space: Final = supernet.space
        number_of = {name: number for number, name in enumerate(self._space.names)}
        names = {d: name for name, d in read_dimensions(supernet.network)[0].items() if name in number_of}
        taken: set[int] = set()
        self.own: Final[list[list[int]]] = []
        for stage in stages:
            held = {d for module in stage.modules for d in held_dimensions(module) if d in names}
            numbers = {number_of[names[d]] for d in held} - taken
            taken |= numbers
            self.own.append(sorted(numbers))

    def positions(self, architecture: Architecture) -> Positions:
        """Returns the positions of an architecture."""
        return tuple(self._space.to_indices([architecture])[0].tolist())

    def architecture(self, positions: Sequence[int]) -> Architecture:
        """Returns the architecture of canonical positions."""
        (found,) = self._space.from_indices(np.array([positions], dtype=np.int64))
        return found

    def path(self, stage: int, positions: Sequence[int]) -> Positions:
        """Returns what positions say about the dimensions of a stage."""
        return tuple(positions[number] for number in self.own[stage])

    def prefix(self, stage: int, positions: Sequence[int]) -> Positions:
        """Returns positions with everything open but the dimensions of the stages before ``stage``."""
        kept = {number for own in self.own[:stage] for number in own}
        return tuple(p if number in kept else _OPEN for number, p in enumerate(positions))

    def joined(self, stage: int, prefix: Sequence[int], positions: Sequence[int]) -> Positions | None:
        """Returns the path of a stage behind another prefix; None where it cannot follow it."""
        row = self._with(stage, prefix, self.path(stage, positions))
        structure = self._space.structure
        possible = all((row[n] != _OPEN) == structure.exists(n, row) for n in self.own[stage])
        return self.complete(row, np.random.default_rng(0)) if possible else None

    def complete(self, row: Sequence[int], rng: np.random.Generator) -> Positions | None:
        """Returns canonical, allowed positions whose open dimensions are drawn; None if 64 draws are forbidden."""
        for _ in range(_DRAWS):
            matrix = self._space.canonical_indices(np.array([row], dtype=np.int64), rng)
            if self._space.allowed_indices(matrix)[0]:
                return tuple(matrix[0].tolist())
        return None

    def fair(self, stage: int, prefix: Sequence[int], count: int, rng: np.random.Generator) -> list[Positions]:
        """Draws ``count`` paths of a stage behind a prefix, with every choice of a dimension as often as any other.

        Choices of each dimension follow a permutation, so with as many paths as choices each is used exactly once. Paths that
        turn out to be forbidden are left out.

        Returns:
            Complete positions.
        """
        columns = {number: self._cycle(number, count, rng) for number in self.own[stage]}
        rows = (
            self.complete(self._with(stage, prefix, [column[i] for column in columns.values()]), rng)
            for i in range(count)
        )
        return [row for row in rows if row is not None]

    def all(self, stage: int, prefix: Sequence[int], limit: int, rng: np.random.Generator) -> list[Positions]:
        """Returns complete positions of all paths of a stage behind a prefix; of more than ``limit`` a random part."""
        found = list(islice(self._enumerate(stage, prefix), limit + 1))
        if len(found) > limit:
            distinct: dict[Positions, None] = {}
            for _ in range(_DRAWS):
                for row in self.fair(stage, prefix, limit, rng):
                    distinct.setdefault(self._with(stage, prefix, self.path(stage, row)))
                if len(distinct) >= limit:
                    break
            found = list(distinct)[:limit]
        completed = (self.complete(row, rng) for row in found)
        return [row for row in completed if row is not None]

    def _enumerate(self, stage: int, prefix: Sequence[int]) -> Iterator[Positions]:
        structure, own, row = self._space.structure, self.own[stage], list(prefix)

        def extend(place: int) -> Iterator[Positions]:
            if place == len(own):
                yield tuple(row)
                return
            number = own[place]
            for position in range(structure.counts[number]) if structure.exists(number, row) else (_OPEN,):
                row[number] = position
                yield from extend(place + 1)
            row[number] = _OPEN

        return extend(0)

    def _with(self, stage: int, prefix: Sequence[int], path: Sequence[int]) -> Positions:
        row = list(prefix)
        for number, position in zip(self.own[stage], path, strict=True):
            row[number] = position
        return tuple(row)

    def _cycle(self, number: int, count: int, rng: np.random.Generator) -> list[int]:
        choices = self._space.structure.counts[number]
        rounds = -(-count // choices)
        return [int(p) for _ in range(rounds) for p in rng.permutation(choices)][:count]
