"""The dependency structure of a space: which dimension exists under which values of which others.

Dimensions are numbered in topological order. The condition of a dimension is a disjunction of clauses, each a conjunction
of "position of the parent is one of these": a dimension that occurs at several places of a network exists while any of
them does. Architectures are vectors of positions here, with -1 for an inactive dimension, which is in no clause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["INACTIVE", "BoolVector", "Clause", "IndexMatrix", "Structure"]

INACTIVE: Final = -1
Clause: TypeAlias = Mapping[int, frozenset[int]]
IndexMatrix: TypeAlias = npt.NDArray[np.int64]
BoolVector: TypeAlias = npt.NDArray[np.bool_]


class Structure:
    """Domains, conditions and forbidden combinations over numbered dimensions.

    Args:
        counts: number of choices of each dimension.
        conditions: clauses of each dimension over dimensions before it; an empty tuple means that it always exists.
        forbidden: clauses that no architecture may satisfy.
    """

    def __init__(
        self, counts: Sequence[int], conditions: Sequence[Sequence[Clause]], forbidden: Sequence[Clause] = ()
    ) -> None:
        self.counts: Final = tuple(counts)
        self.forbidden: Final = tuple(forbidden)
        self.conditions: Final = tuple(tuple(clauses) for clauses in conditions)
        # Pairs iterate faster than mappings, and sampling walks them for every architecture.
        self._clauses: Final = tuple(tuple(tuple(c.items()) for c in clauses) for clauses in self.conditions)
        self._always: Final = np.array([d for d, c in enumerate(self.conditions) if not c], dtype=np.int64)
        self._sometimes: Final = tuple(d for d, c in enumerate(self.conditions) if c)
        self._masks: Final = {d: [self._tables(c) for c in self.conditions[d]] for d in self._sometimes}
        self._rule_masks: Final = [self._tables(rule) for rule in self.forbidden]

    def _tables(self, clause: Clause) -> list[tuple[int, BoolVector]]:
        """For each parent a table from position to truth; its extra last entry answers for -1."""
        tables = []
        for parent, allowed in clause.items():
            table = np.zeros(self.counts[parent] + 1, dtype=np.bool_)
            table[list(allowed)] = True
            tables.append((parent, table))
        return tables

    def exists(self, dimension: int, positions: Sequence[int] | Mapping[int, int]) -> bool:
        """Tells whether a dimension is active under the positions of those before it."""
        clauses = self._clauses[dimension]
        if not clauses:
            return True
        for clause in clauses:
            for parent, allowed in clause:
                if positions[parent] not in allowed:
                    break
            else:
                return True
        return False

    def allows(self, positions: Sequence[int] | Mapping[int, int]) -> bool:
        """Tells whether no forbidden combination holds."""
        return not any(all(positions[d] in allowed for d, allowed in rule.items()) for rule in self.forbidden)

    def size(self) -> int:
        """Returns the exact number of allowed architectures.

        Dimensions are summed out in topological order. The table holds one count for each setting of those dimensions
        that a later condition or rule still asks for, so its length follows how far dependencies reach, not how many
        architectures there are.
        """
        last_use = list(range(len(self.counts)))
        rules_ending_at: dict[int, list[Clause]] = defaultdict(list)
        for dimension, clauses in enumerate(self.conditions):
            for parent in {p for clause in clauses for p in clause}:
                last_use[parent] = max(last_use[parent], dimension)
        for rule in self.forbidden:
            end = max(rule)
            rules_ending_at[end].append(rule)
            for dimension in rule:
                last_use[dimension] = max(last_use[dimension], end)

        live: list[int] = []
        table: dict[tuple[int, ...], int] = {(): 1}
        for dimension, count in enumerate(self.counts):
            frame = [*live, dimension]
            kept = [slot for slot, d in enumerate(frame) if last_use[d] > dimension]
            rules = rules_ending_at[dimension]
            following: dict[tuple[int, ...], int] = defaultdict(int)
            for state, ways in table.items():
                active = self.exists(dimension, dict(zip(live, state, strict=True)))
                for position in range(count) if active else (INACTIVE,):
                    full = (*state, position)
                    if rules:
                        named = dict(zip(frame, full, strict=True))
                        if any(all(named[d] in allowed for d, allowed in rule.items()) for rule in rules):
                            continue
                    following[tuple(full[slot] for slot in kept)] += ways
            live = [frame[slot] for slot in kept]
            table = following
        return sum(table.values())

    def enumerate(self, *, descending: bool = False) -> Iterator[tuple[int, ...]]:
        """Yields the positions of every allowed architecture once, in lexicographic order."""
        positions: list[int] = []

        def extend() -> Iterator[tuple[int, ...]]:
            dimension = len(positions)
            if dimension == len(self.counts):
                if self.allows(positions):
                    yield tuple(positions)
                return
            choices: Sequence[int] = range(self.counts[dimension]) if self.exists(dimension, positions) else (INACTIVE,)
            for position in reversed(choices) if descending else choices:
                positions.append(position)
                if not self._already_forbidden(positions):
                    yield from extend()
                positions.pop()

        return extend()

    def _already_forbidden(self, positions: Sequence[int]) -> bool:
        last = len(positions) - 1
        return any(
            max(rule) == last and all(positions[d] in allowed for d, allowed in rule.items()) for rule in self.forbidden
        )

    def draw(self, rng: np.random.Generator) -> list[int]:
        """Draws one architecture top-down, each active dimension uniformly; forbidden combinations may occur."""
        positions: list[int] = []
        for dimension, (share, count) in enumerate(
            zip(rng.random(len(self.counts)).tolist(), self.counts, strict=True)
        ):
            positions.append(int(share * count) if self.exists(dimension, positions) else INACTIVE)
        return positions

    def draw_allowed(self, rng: np.random.Generator) -> tuple[int, ...] | None:
        """Draws one allowed architecture by depth-first search in random order; ``None`` where there is none.

        The slow but certain way, for rules so tight that rejection rarely succeeds.
        """
        positions: list[int] = []

        def extend() -> bool:
            dimension = len(positions)
            if dimension == len(self.counts):
                return True
            active = self.exists(dimension, positions)
            for position in rng.permutation(self.counts[dimension]).tolist() if active else (INACTIVE,):
                positions.append(position)
                if not self._already_forbidden(positions) and extend():
                    return True
                positions.pop()
            return False

        return tuple(positions) if extend() else None

    def complete(self, matrix: IndexMatrix, rng: np.random.Generator) -> IndexMatrix:
        """Makes every row canonical: drops inactive positions, draws the active ones that are missing.

        Args:
            matrix: ``(n, dimensions)`` positions, -1 for unknown or inactive. Not changed.
            rng: source of the drawn positions.

        Returns:
            ``(n, dimensions)`` canonical positions; forbidden combinations may occur (see ``allowed``).
        """
        result = matrix.astype(np.int64, copy=True)
        filler = (rng.random(result.shape) * np.array(self.counts)).astype(np.int64)
        missing = result == INACTIVE
        result[missing] = filler[missing]
        for dimension in self._sometimes:
            active = np.zeros(len(result), dtype=np.bool_)
            for clause in self._masks[dimension]:
                holds = np.ones(len(result), dtype=np.bool_)
                for parent, table in clause:
                    holds &= table[result[:, parent]]
                active |= holds
            result[~active, dimension] = INACTIVE
        return result

    def allowed(self, matrix: IndexMatrix) -> BoolVector:
        """Tells for each row of canonical positions whether no forbidden combination holds."""
        result = np.ones(len(matrix), dtype=np.bool_)
        for rule in self._rule_masks:
            hit = np.ones(len(matrix), dtype=np.bool_)
            for dimension, table in rule:
                hit &= table[matrix[:, dimension]]
            result &= ~hit
        return result
