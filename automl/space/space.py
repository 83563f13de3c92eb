"""The search space: named dimensions, the conditions between them, and what one can do with it.

A space is read off a module tree (``SearchSpace.of``) or built by hand (``SearchSpace.build``), for example over the
columns of a table. Neither holds a second description of the network that could disagree with it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import networkx
import numpy as np

from automl.errors import SpaceError, did_you_mean
from automl.space.architecture import Architecture
from automl.space.dimensions import Categorical, Dimension, Ordinal, Scalar
from automl.space.encoding import Encoding, FloatMatrix
from automl.space.structure import INACTIVE, Clause, IndexMatrix, Structure
from automl.space.walk import ModuleTree, read_dimensions

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

__all__ = ["Rule", "SearchSpace"]

Rule: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]]
"""A combination that is not allowed: dimension names with a value or several; all must hold for the rule to strike."""
_REJECTIONS: Final = 64


class SearchSpace:
    """All architectures over a set of conditional dimensions.

    Args:
        dimensions: every dimension by name.
        conditions: for each conditional dimension the alternatives under which it exists; each alternative maps parent
            names to their allowed values, all of which must hold.
        forbidden: combinations that no architecture may have.

    Raises:
        SpaceError: unknown names or values, conditions in a cycle, or rules that leave no architecture.

    Example:
        >>> space = SearchSpace.build(
        ...     {"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5, 7)}, conditions={"kernel": {"op": "conv"}}
        ... )
        >>> space.size()
        4
        >>> space.canonical({"op": "pool", "kernel": 5})
        Architecture({'op': 'pool'})
    """

    def __init__(
        self,
        dimensions: Mapping[str, Dimension],
        conditions: Mapping[str, Sequence[Mapping[str, Iterable[Scalar]]]] | None = None,
        forbidden: Iterable[Rule] = (),
    ) -> None:
        clauses = {
            name: [_as_sets(alternative) for alternative in (conditions or {}).get(name, ())] for name in dimensions
        }
        self.graph: Final = _dependency_graph(dimensions, clauses, conditions or {})
        ordinal_of = {name: i for i, name in enumerate(dimensions)}
        self.names: Final[tuple[str, ...]] = tuple(
            networkx.lexicographical_topological_sort(self.graph, key=ordinal_of.__getitem__)
        )
        self.dimensions: Final[dict[str, Dimension]] = {name: dimensions[name] for name in self.names}
        self._number: Final = {name: i for i, name in enumerate(self.names)}
        self.forbidden: Final = tuple({n: _values(v) for n, v in rule.items()} for rule in forbidden)
        self.structure: Final = Structure(
            counts=[len(d.choices) for d in self.dimensions.values()],
            conditions=[_minimal([self._clause(a, f"condition of {n!r}") for a in clauses[n]]) for n in self.names],
            forbidden=[self._clause(rule, f"forbidden[{i}]") for i, rule in enumerate(self.forbidden)],
        )
        if any(not rule for rule in self.forbidden) or (self.forbidden and self.size() == 0):
            raise SpaceError("forbidden: the rules exclude every architecture; remove or narrow one of them.")

    @classmethod
    def of(cls, module: ModuleTree, *, forbidden: Iterable[Rule] = ()) -> SearchSpace:
        """Reads the space off a module tree; names are attribute paths such as ``stage2.depth``."""
        dimensions, occurrences = read_dimensions(module)
        name_of = {dimension: name for name, dimension in dimensions.items()}
        conditions: dict[str, list[Mapping[str, frozenset[Scalar]]]] = {}
        for name, dimension in dimensions.items():
            alternatives: list[Mapping[str, frozenset[Scalar]]] = []
            for guards in occurrences[dimension]:
                alternative: dict[str, frozenset[Scalar]] = {}
                reachable = True
                for guard in guards:
                    if guard.dimension in name_of:
                        parent = name_of[guard.dimension]
                        alternative[parent] = alternative.get(parent, guard.values) & guard.values
                    else:
                        reachable = reachable and guard.dimension.choices[0] in guard.values
                if reachable and all(alternative.values()):
                    alternatives.append(alternative)
            if not alternatives:
                raise SpaceError(f"{name}: its conditions can never hold, so the dimension can never be searched.")
            conditions[name] = [] if any(not a for a in alternatives) else alternatives
        return cls(dimensions, conditions, forbidden)

    @classmethod
    def build(
        cls,
        dimensions: Mapping[str, Dimension],
        conditions: Mapping[str, Mapping[str, Scalar | Sequence[Scalar]]] | None = None,
        *,
        forbidden: Iterable[Rule] = (),
    ) -> SearchSpace:
        """Builds a space by hand; a conditional dimension exists while all parents have (one of) the values given."""
        alternatives = {n: [{p: _values(v) for p, v in c.items()}] for n, c in (conditions or {}).items()}
        return cls(dimensions, alternatives, forbidden)

    # --- architectures ---------------------------------------------------------------------------------------------

    def canonical(self, mapping: Mapping[str, Any]) -> Architecture:
        """Returns the architecture of a mapping that names at least the active dimensions; inactive ones are dropped.

        Raises:
            SpaceError: an unknown name, a missing active dimension, a value that is no choice, or a forbidden combination.
        """
        for name in mapping:
            if name not in self.dimensions:
                raise SpaceError(f"unknown dimension {name!r}.{did_you_mean(name, self.names)}")
        positions: list[int] = []
        for number, (name, dimension) in enumerate(self.dimensions.items()):
            if not self.structure.exists(number, positions):
                positions.append(INACTIVE)
            elif name in mapping:
                try:
                    positions.append(dimension.position(mapping[name]))
                except SpaceError as error:
                    raise SpaceError(f"{name}: {error}") from error
            else:
                raise SpaceError(
                    f"{name}: this dimension is active here and has no value; choices: {dimension.choices}."
                )
        if not self.structure.allows(positions):
            raise SpaceError(
                f"the architecture {dict(mapping)} has a forbidden combination: {self._broken(positions)}."
            )
        return self._architecture(positions)

    def architecture(self, mapping: Mapping[str, Any]) -> Architecture:
        """Like ``canonical``, but a value for an inactive dimension is an error as well."""
        result = self.canonical(mapping)
        if len(result) != len(mapping):
            extra = sorted(set(mapping) - set(result))
            raise SpaceError(f"inactive dimensions have values: {', '.join(extra)}; drop them or use canonical().")
        return result

    @property
    def ordered(self) -> list[str]:
        """Names of the dimensions whose choices are ordered."""
        return [name for name, dimension in self.dimensions.items() if isinstance(dimension, Ordinal)]

    def allows(self, architecture: Architecture) -> bool:
        """Tells whether no forbidden combination holds."""
        return self.structure.allows(self._positions(architecture))

    def smallest(self) -> Architecture:
        """Returns the allowed architecture with every choice as early as possible, dimension by dimension."""
        return self._architecture(next(self.structure.enumerate()))

    def largest(self) -> Architecture:
        """Returns the allowed architecture with every choice as late as possible, dimension by dimension."""
        return self._architecture(next(self.structure.enumerate(descending=True)))

    def size(self) -> int:
        """Returns the exact number of distinct architectures."""
        return self._size

    @cached_property
    def _size(self) -> int:
        return self.structure.size()

    def enumerate(self) -> Iterator[Architecture]:
        """Yields every architecture once."""
        return map(self._architecture, self.structure.enumerate())

    # --- operators -------------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draws an architecture top-down, each active dimension uniformly among its choices."""
        positions: Sequence[int] | None
        for _ in range(_REJECTIONS):
            positions = self.structure.draw(rng)
            if not self.forbidden or self.structure.allows(positions):
                return self._architecture(positions)
        positions = self.structure.draw_allowed(rng)
        assert positions is not None, "a space with rules has at least one allowed architecture"
        return self._architecture(positions)

    def mutate(self, architecture: Architecture, rng: np.random.Generator, rate: float | None = None) -> Architecture:
        """Changes each active dimension with probability ``rate`` (default: one in all active ones), at least one.

        Returns:
            A different architecture, or the same where the space holds no other.
        """
        parent = self._positions(architecture)
        free = [d for d, p in enumerate(parent) if p != INACTIVE and self.structure.counts[d] > 1]
        if not free:
            return architecture
        for _ in range(_REJECTIONS):
            chosen = rng.random(len(free)) < (1 / len(free) if rate is None else rate)
            chosen[rng.integers(len(free))] = True
            child = list(parent)
            for dimension in itertools.compress(free, chosen):
                shift = int(rng.integers(1, self.structure.counts[dimension]))
                child[dimension] = (parent[dimension] + shift) % self.structure.counts[dimension]
            self._settle(child, rng)
            if self.structure.allows(child):
                return self._architecture(child)
        return self._other_than({architecture}, rng) or architecture

    def crossover(self, first: Architecture, second: Architecture, rng: np.random.Generator) -> Architecture:
        """Takes each dimension from either parent at random; where that gives a parent again, mutates it.

        Returns:
            An architecture different from both parents where the space holds one.
        """
        a, b = self._positions(first), self._positions(second)
        for _ in range(_REJECTIONS):
            child = [x if take else y for x, y, take in zip(a, b, rng.random(len(a)) < 0.5, strict=True)]
            child = [x if x != INACTIVE else max(y, z) for x, y, z in zip(child, a, b, strict=True)]
            self._settle(child, rng)
            result = self._architecture(child)
            if result in (first, second):
                result = self.mutate(result, rng)
            if result not in (first, second) and self.structure.allows(self._positions(result)):
                return result
        return self._other_than({first, second}, rng) or first

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Returns all architectures with one dimension changed; dimensions that become active take their first choice."""
        parent = self._positions(architecture)
        result: dict[Architecture, None] = {}
        for dimension, position in enumerate(parent):
            if position == INACTIVE:
                continue
            for other in range(self.structure.counts[dimension]):
                if other != position:
                    child = list(parent)
                    child[dimension] = other
                    self._settle(child, None)
                    if self.structure.allows(child):
                        result[self._architecture(child)] = None
        return list(result)

    def _settle(self, positions: list[int], rng: np.random.Generator | None) -> None:
        """Makes positions canonical in place: drops inactive ones, draws missing ones (or takes the first choice)."""
        for dimension, count in enumerate(self.structure.counts):
            if not self.structure.exists(dimension, positions):
                positions[dimension] = INACTIVE
            elif positions[dimension] == INACTIVE:
                positions[dimension] = 0 if rng is None else int(rng.integers(count))

    def _other_than(self, known: set[Architecture], rng: np.random.Generator) -> Architecture | None:
        for _ in range(_REJECTIONS):
            candidate = self.sample(rng)
            if candidate not in known:
                return candidate
        return next((a for a in itertools.islice(self.enumerate(), len(known) + 1) if a not in known), None)

    # --- vectors ---------------------------------------------------------------------------------------------------

    def to_indices(self, architectures: Sequence[Architecture]) -> IndexMatrix:
        """Returns ``(n, dimensions)`` positions among the choices, -1 where a dimension is inactive."""
        rows = [self._positions(a) for a in architectures]
        return np.array(rows, dtype=np.int64).reshape(len(rows), len(self.names))

    def from_indices(self, matrix: IndexMatrix) -> list[Architecture]:
        """Returns the architectures of canonical rows as ``to_indices`` and ``canonical_indices`` make them."""
        return [self._architecture(row) for row in matrix.tolist()]

    def canonical_indices(self, matrix: IndexMatrix, rng: np.random.Generator) -> IndexMatrix:
        """Makes rows of positions canonical, all at once: drops inactive dimensions, draws missing active ones.

        Forbidden combinations may occur in the result; ``allowed_indices`` tells.
        """
        return self.structure.complete(matrix, rng)

    def allowed_indices(self, matrix: IndexMatrix) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Tells for each canonical row whether no forbidden combination holds."""
        return self.structure.allowed(matrix)

    def encode(self, architectures: Sequence[Architecture]) -> FloatMatrix:
        """Returns ``(n, features)`` numbers for predictors; see ``feature_names`` and ``Encoding``."""
        return self._encoding.encode(self.to_indices(architectures))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of ``encode``."""
        return self._encoding.names

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.dimensions, conditional=[bool(c) for c in self.structure.conditions])

    # --- Optuna ----------------------------------------------------------------------------------------------------

    def distributions(self) -> dict[str, BaseDistribution]:
        """Returns an Optuna distribution for each dimension, conditional ones included."""
        from automl.space.optuna_bridge import distribution_of

        return {name: distribution_of(dimension) for name, dimension in self.dimensions.items()}

    def suggest(self, trial: BaseTrial) -> Architecture:
        """Asks an Optuna trial for the active dimensions, parents first.

        Raises:
            optuna.TrialPruned: the trial drew a forbidden combination.
        """
        from automl.space.optuna_bridge import suggest_positions

        return self._architecture(suggest_positions(trial, self.dimensions, self.structure))

    # --- description -----------------------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """Returns dimensions, conditions and rules as JSON values; ``from_description`` reads it back."""
        entries = {}
        for number, (name, dimension) in enumerate(self.dimensions.items()):
            entry: dict[str, Any] = {"type": type(dimension).__name__.lower(), "choices": list(dimension.choices)}
            if alternatives := self.structure.conditions[number]:
                entry["exists_if"] = [self._named(clause) for clause in alternatives]
            entries[name] = entry
        return {"dimensions": entries, "forbidden": [self._named(rule) for rule in self.structure.forbidden]}

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> SearchSpace:
        """Builds the space that ``describe`` wrote, without a module behind it.

        Raises:
            SpaceError: the description is malformed.
        """
        kinds: dict[str, Callable[..., Dimension]] = {"ordinal": Ordinal, "categorical": Categorical}
        try:
            entries = description["dimensions"]
            dimensions = {name: kinds[entry["type"]](*entry["choices"]) for name, entry in entries.items()}
            conditions = {name: entry["exists_if"] for name, entry in entries.items() if "exists_if" in entry}
            return cls(dimensions, conditions, description.get("forbidden", ()))
        except (KeyError, TypeError, AttributeError) as error:
            raise SpaceError(f"malformed description of a search space: {error!r}.") from error

    @cached_property
    def digest(self) -> str:
        """Short digest of dimensions, conditions and rules: 16 hexadecimal digits."""
        text = json.dumps(self.describe(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __repr__(self) -> str:
        return f"<SearchSpace of {len(self.names)} dimensions, {self.size():.4g} architectures, digest {self.digest}>"

    # --- between names and numbers -----------------------------------------------------------------------------------

    def _architecture(self, positions: Sequence[int]) -> Architecture:
        return Architecture({n: c[p] for (n, c), p in zip(self._choices, positions, strict=True) if p != INACTIVE})

    @cached_property
    def _choices(self) -> tuple[tuple[str, tuple[Scalar, ...]], ...]:
        return tuple((name, dimension.choices) for name, dimension in self.dimensions.items())

    def _positions(self, architecture: Architecture) -> list[int]:
        positions = [INACTIVE] * len(self.names)
        for name, value in architecture.items():
            number = self._number.get(name)
            if number is None:
                raise SpaceError(f"the architecture is of another space: unknown dimension {name!r}.")
            positions[number] = self.dimensions[name].position(value)
        return positions

    def _clause(self, alternative: Mapping[str, Iterable[Scalar]], where: str) -> Clause:
        clause = {}
        for name, values in alternative.items():
            if name not in self.dimensions:
                raise SpaceError(f"{where}: unknown dimension {name!r}.{did_you_mean(name, self.names)}")
            try:
                clause[self._number[name]] = frozenset(self.dimensions[name].position(v) for v in values)
            except SpaceError as error:
                raise SpaceError(f"{where}: {name}: {error}") from error
        return clause

    def _named(self, clause: Clause) -> dict[str, list[Scalar]]:
        return {self.names[d]: [self._choices[d][1][p] for p in sorted(allowed)] for d, allowed in clause.items()}

    def _broken(self, positions: Sequence[int]) -> str:
        rules = (r for r in self.structure.forbidden if all(positions[d] in a for d, a in r.items()))
        return json.dumps(self._named(next(rules)))


def _values(value: Scalar | Iterable[Scalar]) -> tuple[Scalar, ...]:
    return (value,) if isinstance(value, str | int | float) else tuple(value)


def _as_sets(alternative: Mapping[str, Iterable[Scalar]]) -> dict[str, tuple[Scalar, ...]]:
    return {name: _values(values) for name, values in alternative.items()}


def _minimal(alternatives: list[Clause]) -> list[Clause]:
    """Drops alternatives that another one already covers."""
    kept: list[Clause] = []
    for clause in sorted(alternatives, key=len):
        if not any(all(d in clause and clause[d] <= allowed for d, allowed in other.items()) for other in kept):
            kept.append(clause)
    return kept


def _dependency_graph(
    dimensions: Mapping[str, Dimension],
    clauses: Mapping[str, Sequence[Mapping[str, Iterable[Scalar]]]],
    conditions: Mapping[str, object],
) -> networkx.DiGraph[str]:
    """One node a dimension; an edge parent → child holds the values of the parent under which the child may exist."""
    for name in conditions:
        if name not in dimensions:
            raise SpaceError(f"condition of {name!r}: unknown dimension {name!r}.{did_you_mean(name, dimensions)}")
    graph: networkx.DiGraph[str] = networkx.DiGraph()
    for name, dimension in dimensions.items():
        graph.add_node(name, dimension=dimension)
    for name, alternatives in clauses.items():
        for parent in {p for alternative in alternatives for p in alternative}:
            if parent not in dimensions:
                raise SpaceError(
                    f"condition of {name!r}: unknown dimension {parent!r}.{did_you_mean(parent, dimensions)}"
                )
            values = {v for a in alternatives for v in a.get(parent, dimensions[parent].choices)}
            graph.add_edge(parent, name, values=frozenset(values), predicate=frozenset(values).__contains__)
    try:
        cycle = [edge[0] for edge in networkx.find_cycle(graph)]
    except networkx.NetworkXNoCycle:
        return graph
    raise SpaceError(f"conditions form a cycle: {' → '.join([*cycle, cycle[0]])}.")
