"""Invariants 3 and 4 over random conditional spaces, and the errors of malformed ones."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import networkx
import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl.errors import SpaceError
from automl.space import Architecture, Categorical, Dimension, Ordinal, SearchSpace


@st.composite
def raw_spaces(draw: st.DrawFn, *, rules: bool = False, max_dimensions: int = 5) -> dict[str, Any]:
    """Draws dimensions in a shuffled order, disjunctive conditions on others, and optional rules."""
    count = draw(st.integers(1, max_dimensions))
    dimensions: dict[str, Dimension] = {}
    for i in range(count):
        size = draw(st.integers(1, 3))
        dimensions[f"d{i}"] = (
            Ordinal(*range(i, i + 2 * size, 2))
            if draw(st.booleans())
            else Categorical(*(f"{c}{i}" for c in "xyz"[:size]))
        )
    conditions: dict[str, list[dict[str, tuple[Any, ...]]]] = {}
    for i in range(1, count):
        alternatives = []
        for _ in range(draw(st.integers(0, 2))):
            parents = draw(st.sets(st.integers(0, i - 1), min_size=1, max_size=2))
            alternatives.append(
                {
                    f"d{p}": tuple(draw(st.sets(st.sampled_from(dimensions[f"d{p}"].choices), min_size=1)))
                    for p in sorted(parents)
                }
            )
        if alternatives:
            conditions[f"d{i}"] = alternatives
    forbidden = []
    if rules:
        for _ in range(draw(st.integers(1, 2))):
            names = draw(st.sets(st.sampled_from(sorted(dimensions)), min_size=1, max_size=2))
            forbidden.append({n: [draw(st.sampled_from(dimensions[n].choices))] for n in sorted(names)})
    order = draw(st.permutations(sorted(dimensions)))
    return {"dimensions": {n: dimensions[n] for n in order}, "conditions": conditions, "forbidden": forbidden}


@st.composite
def spaces(draw: st.DrawFn, *, rules: bool = False) -> tuple[dict[str, Any], SearchSpace]:
    """Draws a description and its space; descriptions whose rules exclude everything are discarded."""
    raw = draw(raw_spaces(rules=rules))
    try:
        return raw, SearchSpace(**raw)
    except SpaceError:
        assert not brute_force(raw), "a space was refused that has architectures"
        return draw(st.nothing())


def brute_force(raw: Mapping[str, Any]) -> set[frozenset[tuple[str, Any]]]:
    """All distinct networks: every full assignment with its inactive dimensions dropped until nothing changes."""
    names = list(raw["dimensions"])
    result = set()
    for values in itertools.product(*(d.choices for d in raw["dimensions"].values())):
        active = dict(zip(names, values, strict=True))
        while True:
            dead = [
                n
                for n in active
                if raw["conditions"].get(n)
                and not any(
                    all(p in active and active[p] in allowed for p, allowed in a.items()) for a in raw["conditions"][n]
                )
            ]
            if not dead:
                break
            for name in dead:
                del active[name]
        if not any(all(n in active and active[n] in v for n, v in rule.items()) for rule in raw["forbidden"]):
            result.add(frozenset(active.items()))
    return result


SEEDS = st.integers(0, 2**32 - 1)
any_space = st.one_of(spaces(), spaces(rules=True))


@given(any_space)
def test_size_and_enumeration_equal_brute_force(drawn: tuple[dict[str, Any], SearchSpace]) -> None:
    raw, space = drawn
    networks = brute_force(raw)
    listed = list(space.enumerate())
    assert space.size() == len(networks) == len(listed)
    assert {frozenset(a.items()) for a in listed} == networks


@given(raw_spaces(rules=True))
def test_rules_that_exclude_everything_are_refused(raw: dict[str, Any]) -> None:
    if brute_force(raw):
        assert SearchSpace(**raw).size() > 0
    else:
        with pytest.raises(SpaceError, match="exclude every architecture"):
            SearchSpace(**raw)


@settings(max_examples=40)
@given(any_space, SEEDS)
def test_sampling_reaches_every_architecture_and_nothing_else(
    drawn: tuple[dict[str, Any], SearchSpace], seed: int
) -> None:
    _, space = drawn
    rng = np.random.default_rng(seed)
    everything = set(space.enumerate())
    # The rarest architecture has probability ≥ 3**-5 under top-down sampling, rules only raise it.
    seen = {space.sample(rng) for _ in range(12 * 3**5)} if len(everything) > 1 else {space.sample(rng)}
    assert seen == everything


@given(any_space, SEEDS)
def test_canonical_is_idempotent_and_ignores_inactive_values(
    drawn: tuple[dict[str, Any], SearchSpace], seed: int
) -> None:
    _, space = drawn
    rng = np.random.default_rng(seed)
    architecture = space.sample(rng)
    padded = {n: d.choices[int(rng.integers(len(d.choices)))] for n, d in space.dimensions.items()}
    padded.update(architecture)
    same = space.canonical(dict(sorted(padded.items())))
    assert same == architecture == space.canonical(same)
    assert same.id == architecture.id
    assert hash(same) == hash(architecture)
    assert space.architecture(architecture) == architecture


@given(any_space)
def test_different_networks_have_different_ids(drawn: tuple[dict[str, Any], SearchSpace]) -> None:
    _, space = drawn
    listed = list(space.enumerate())
    assert len({a.id for a in listed}) == len(listed)


@given(any_space, SEEDS)
def test_operators_return_other_valid_architectures(drawn: tuple[dict[str, Any], SearchSpace], seed: int) -> None:
    _, space = drawn
    rng = np.random.default_rng(seed)
    everything = set(space.enumerate())
    a, b = space.sample(rng), space.sample(rng)
    mutant = space.mutate(a, rng, rate=float(rng.random()))
    assert mutant in everything
    assert mutant != a or len(everything) == 1
    child = space.crossover(a, b, rng)
    assert child in everything
    assert child not in (a, b) or everything <= {a, b}
    assert {space.smallest(), space.largest()} <= everything


@given(any_space, SEEDS)
def test_neighbours_are_exactly_the_one_dimension_changes(drawn: tuple[dict[str, Any], SearchSpace], seed: int) -> None:
    _, space = drawn
    a = space.sample(np.random.default_rng(seed))
    found = space.neighbours(a)
    assert len(set(found)) == len(found)
    assert a not in found
    everything = set(space.enumerate())
    assert set(found) <= everything
    # Same set of active dimensions and exactly one other value: certainly a neighbour.
    for other in everything:
        if other.keys() == a.keys() and sum(other[n] != a[n] for n in a) == 1:
            changed = next(n for n in a if other[n] != a[n])
            if not any(changed in c for clauses in [space.graph.successors(changed)] for c in clauses):
                assert other in found


@given(any_space, SEEDS)
def test_index_matrices_round_trip_and_complete_to_canonical_rows(
    drawn: tuple[dict[str, Any], SearchSpace], seed: int
) -> None:
    _, space = drawn
    rng = np.random.default_rng(seed)
    batch = [space.sample(rng) for _ in range(7)]
    matrix = space.to_indices(batch)
    assert space.from_indices(matrix) == batch
    assert (space.canonical_indices(matrix, rng) == matrix).all()
    assert space.allowed_indices(matrix).all()
    wild = np.stack([rng.integers(-1, len(d.choices), 50) for d in space.dimensions.values()], axis=1)
    rows = space.canonical_indices(wild, rng)
    everything = set(space.enumerate())
    for row, architecture, allowed in zip(rows, space.from_indices(rows), space.allowed_indices(rows), strict=True):
        assert (architecture in everything) == allowed
        assert (space.to_indices([architecture])[0] == row).all()


@given(any_space, SEEDS)
def test_encoding_tells_architectures_apart_and_masks_inactive_ones(
    drawn: tuple[dict[str, Any], SearchSpace], seed: int
) -> None:
    _, space = drawn
    listed = list(space.enumerate())
    features = space.encode(listed)
    assert features.shape == (len(listed), len(space.feature_names))
    assert np.isfinite(features).all()
    if len(listed) > 1:
        assert len({row.tobytes() for row in features}) == len(listed)
    for name in space.dimensions:
        columns = [i for i, f in enumerate(space.feature_names) if f in (name, f"{name}?") or f.startswith(f"{name}=")]
        for architecture, row in zip(listed, features, strict=True):
            if name not in architecture:
                assert (row[columns] == 0).all()


@given(any_space)
def test_description_round_trips_through_json(drawn: tuple[dict[str, Any], SearchSpace]) -> None:
    _, space = drawn
    again = SearchSpace.from_description(json.loads(json.dumps(space.describe())))
    assert again.digest == space.digest
    assert set(again.enumerate()) == set(space.enumerate())
    for a in space.enumerate():
        assert Architecture.from_json(a.to_json()) == a


@settings(max_examples=25)
@given(any_space, SEEDS)
def test_optuna_suggests_exactly_the_active_dimensions(drawn: tuple[dict[str, Any], SearchSpace], seed: int) -> None:
    _, space = drawn
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    everything = set(space.enumerate())
    for _ in range(5):
        trial = study.ask()
        try:
            architecture = space.suggest(trial)
        except optuna.TrialPruned:
            assert space.forbidden
            continue
        assert architecture in everything
        assert trial.params == dict(architecture)
        assert {n: space.distributions()[n] for n in architecture} == trial.distributions


@given(spaces(), SEEDS)
def test_graph_edges_hold_the_conditions(drawn: tuple[dict[str, Any], SearchSpace], seed: int) -> None:
    _, space = drawn
    assert networkx.is_directed_acyclic_graph(space.graph)
    for a in space.enumerate():
        for parent, child, data in space.graph.edges(data=True):
            if child in a and parent in a and len(space.structure.conditions[space.names.index(child)]) == 1:
                assert data["predicate"](a[parent])


def test_sizes_of_large_conditional_spaces_are_exact() -> None:
    dimensions: dict[str, Any] = {}
    conditions = {}
    for stage in range(5):
        dimensions[f"s{stage}.depth"] = Ordinal(2, 3, 4)
        for block in range(4):
            for name, choices in (("kernel", (3, 5, 7)), ("expansion", (3, 4, 6))):
                dimensions[f"s{stage}.{block}.{name}"] = Ordinal(*choices)
                conditions[f"s{stage}.{block}.{name}"] = {f"s{stage}.depth": [d for d in (2, 3, 4) if d > block]}
    assert SearchSpace.build(dimensions, conditions).size() == (9**2 + 9**3 + 9**4) ** 5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ordinal(), "at least one choice"),
        (lambda: Ordinal(3, 3), "choices must increase"),
        (lambda: Ordinal(5, 3), r"write \(3, 5\)"),
        (lambda: Ordinal(True, 3), "not a finite number"),
        (lambda: Ordinal(1.0, float("inf")), "not a finite number"),
        (lambda: Categorical("a", "a"), "repeats a choice"),
        (lambda: Categorical(None), "not a string, finite number or boolean"),
        (lambda: Ordinal(0, 2) * -1, "cannot be combined"),
        (lambda: 4 * (Ordinal(2, 4) // Ordinal(0, 1)), "divides by a size that can be 0"),
        (lambda: Ordinal(2, 4).rounded(0), "at least 1"),
        (lambda: SearchSpace.build({"a": Ordinal(1, 2)}, {"a": {"b": 1}}), "unknown dimension 'b'"),
        (lambda: SearchSpace.build({"a": Ordinal(1, 2)}, {"aa": {"a": 1}}), "Did you mean 'a'"),
        (
            lambda: SearchSpace.build({"a": Ordinal(1, 2), "b": Ordinal(1, 2)}, {"a": {"b": 1}, "b": {"a": 1}}),
            "form a cycle: a → b → a|form a cycle: b → a → b",
        ),
        (lambda: SearchSpace.build({"a": Ordinal(1, 2), "b": Ordinal(1, 2)}, {"b": {"a": 3}}), "3 is not a choice"),
        (lambda: SearchSpace.build({"a": Ordinal(1, 2)}, forbidden=[{}]), "exclude every"),
        (lambda: SearchSpace.from_description({"dimensions": {"a": {}}}), "malformed description"),
        (lambda: Architecture.from_json("[1]"), "JSON object"),
        (lambda: Architecture.from_json("{"), "JSON object"),
    ],
)
def test_malformed_spaces_are_refused_with_the_reason(make: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        make()


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"op": "conv"}, "kernel: this dimension is active here and has no value"),
        ({"op": "convx", "kernel": 3}, "op: 'convx' is not a choice.*Did you mean 'conv'"),
        ({"op": "conv", "kernel": 4}, "kernel: 4 is not a choice"),
        ({"op": "pool", "kernle": 3}, "unknown dimension 'kernle'. Did you mean 'kernel'"),
        ({"op": "conv", "kernel": 7}, "forbidden combination"),
    ],
)
def test_wrong_architectures_are_refused_with_the_reason(mapping: dict[str, Any], message: str) -> None:
    space = SearchSpace.build(
        {"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5, 7)},
        {"kernel": {"op": "conv"}},
        forbidden=[{"op": "conv", "kernel": 7}],
    )
    with pytest.raises(SpaceError, match=message):
        space.canonical(mapping)


def test_an_inactive_value_is_dropped_by_canonical_and_refused_by_architecture() -> None:
    space = SearchSpace.build({"op": Categorical("conv", "pool"), "kernel": Ordinal(3, 5)}, {"kernel": {"op": "conv"}})
    assert dict(space.canonical({"op": "pool", "kernel": 5})) == {"op": "pool"}
    with pytest.raises(SpaceError, match="inactive dimensions have values: kernel"):
        space.architecture({"op": "pool", "kernel": 5})


def test_derived_sizes_follow_their_dimensions_and_know_their_range() -> None:
    width, ratio = Ordinal(6, 10, 14), Ordinal(0.5, 1.5)
    hidden = (width * ratio).rounded(4)
    total = hidden + width + 3
    half = total // 2
    assert half.dimensions == (width, ratio)
    seen = set()
    for w in width.choices:
        for r in ratio.choices:
            width.value, ratio.value = w, r
            expected = (max(1, int(w * r / 4 + 0.5)) * 4 + w + 3) // 2
            assert int(half) == half.__index__() == expected
            seen.add(expected)
    assert (half.minimum, half.maximum) == (min(seen), max(seen))
    ratio.value = 0.5
    width.value = 6
    assert 2 * width == 12 or int(2 * width) == 12
    with pytest.raises(SpaceError, match=r"not a whole number.*rounded"):
        range(Ordinal(1, 3) * 0.5)  # type: ignore[call-overload]


def test_spaces_work_without_torch() -> None:
    code = (
        "import automl, automl.space, automl.job_config, sys; assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
