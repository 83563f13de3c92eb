from __future__ import annotations

import numpy as np
import pytest

from automl.search.survival import fitness, survivors
from automl.search.variation import Variation
from automl.space import Categorical, Ordinal, SearchSpace
from automl.testing.problems import large_space


@pytest.fixture
def space() -> SearchSpace:
    return large_space()


def population(space: SearchSpace, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return space.to_indices([space.sample(rng) for _ in range(n)])


@pytest.mark.parametrize("changes", [0.01, 1.0, 50.0])
def test_mutants_are_canonical_and_differ_from_their_parents(space: SearchSpace, changes: float) -> None:
    parents = population(space, 200, 1)
    mutants = Variation(space).mutate(parents, np.random.default_rng(2), changes)
    assert (mutants != parents).any(axis=1).all()
    for architecture in space.from_indices(mutants):
        assert space.architecture(architecture) == architecture


def test_mutation_changes_as_many_dimensions_as_asked() -> None:
    flat = SearchSpace.build({f"d{i}": Categorical("a", "b", "c") for i in range(20)})
    parents = population(flat, 2000, 3)
    for changes in (1.0, 3.0):
        mutants = Variation(flat).mutate(parents, np.random.default_rng(4), changes)
        # One dimension is changed in any case, which replaces the chance that none would be.
        expected = changes + (1 - changes / 20) ** 20
        assert (mutants != parents).sum(axis=1).mean() == pytest.approx(expected, abs=0.1)


def test_ordered_dimensions_prefer_neighbours_and_unordered_ones_do_not() -> None:
    line = SearchSpace.build({"size": Ordinal(*range(9)), "kind": Categorical(*range(9))})
    parents = np.full((4000, 2), 4)
    mutants = Variation(line).mutate(parents, np.random.default_rng(5), 100.0)
    steps = np.abs(mutants - 4)
    assert set(steps[:, 0]) == set(steps[:, 1]) == {1, 2, 3, 4}
    assert (steps[:, 0] == 1).mean() == pytest.approx(0.6, abs=0.05)
    assert (steps[:, 1] == 1).mean() == pytest.approx(0.25, abs=0.05)
    at_the_end = Variation(line).mutate(np.zeros((4000, 2), dtype=int), np.random.default_rng(6), 100.0)
    assert set(at_the_end[:, 0]) == set(range(1, 9))


def test_children_take_every_dimension_from_a_parent_that_has_it(space: SearchSpace) -> None:
    first, second = population(space, 300, 7), population(space, 300, 8)
    children = Variation(space).cross(first, second, np.random.default_rng(9))
    inherited = (children == first) | (children == second) | (children < 0)
    nowhere = (first < 0) & (second < 0)
    assert (inherited | nowhere).all()
    assert 0.3 < ((children == first) & (first != second))[first != second].mean() < 0.7
    for architecture in space.from_indices(children):
        assert space.architecture(architecture) == architecture


def test_a_space_without_choices_is_left_alone() -> None:
    fixed = SearchSpace.build({"only": Categorical("one")})
    rows = np.zeros((3, 1), dtype=int)
    assert Variation(fixed).mutate(rows, np.random.default_rng(0), 1.0).tolist() == rows.tolist()


def test_feasible_members_come_first_then_small_violations() -> None:
    rng = np.random.default_rng(10)
    values = rng.integers(0, 5, size=(60, 2)).astype(float)
    violations = rng.random((60, 2)) * [1.0, 1000.0] * (rng.random((60, 2)) < 0.4)
    ranks, distances = fitness(values, violations)
    total = (violations / violations.max(axis=0)).sum(axis=1)
    for a in range(60):
        for b in range(60):
            if total[a] == total[b] == 0:
                dominates = (values[a] <= values[b]).all() and (values[a] < values[b]).any()
                assert not dominates or ranks[a] < ranks[b]
            else:
                assert (ranks[a] < ranks[b]) == (total[a] < total[b])
    best = survivors(values, violations, 15)
    assert ranks[best].tolist() == sorted(ranks)[:15]
    last = ranks[best[-1]]
    kept = set(best.tolist())
    assert min(distances[i] for i in kept if ranks[i] == last) >= max(
        (distances[i] for i in range(60) if ranks[i] == last and i not in kept), default=-1.0
    )


def test_fitness_without_constraints_and_without_feasible_members() -> None:
    values = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])
    assert fitness(values, np.zeros((3, 0)))[0].tolist() == [0, 0, 1]
    assert fitness(values, np.array([[3.0], [1.0], [2.0]]))[0].tolist() == [2, 0, 1]
