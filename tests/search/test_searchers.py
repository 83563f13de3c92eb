"""The contract of ``Searcher``, for our own searchers and for every sampler of the installed Optuna."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from automl.errors import ConfigError, RunError, UnknownNameError
from automl.search import Evolution, Measurement, OptunaSampler, Random, Searcher, hypervolume
from automl.space import Architecture, Categorical, Ordinal, SearchSpace
from automl.testing.problems import REFERENCE, measure, small_space

MakeSearcher = Callable[..., Searcher]


def trials_for(name: str) -> int:
    return 8 if name == "GPSampler" else 26


def steps(searcher: Searcher, sizes: list[int], objectives: int) -> list[Measurement]:
    history: list[Measurement] = []
    for n in sizes:
        asked = searcher.ask(n)
        assert len(asked) <= n
        results = measure(asked, objectives=objectives, constrained=True)
        if len(history) % 5 == 2:
            results[0] = Measurement(architecture=asked[0], values=None, failure="broken")
        searcher.tell(results)
        history += results
    return history


def test_asks_only_canonical_allowed_new_architectures_until_the_space_is_exhausted(
    searcher_name: str, make_searcher: MakeSearcher, objectives: int
) -> None:
    space = small_space()
    options: dict[str, Any] = {}
    expected = set(space.enumerate())
    if searcher_name == "PartialFixedSampler":
        options = {"fixed_params": {"op": "attention"}, "base_sampler": "RandomSampler"}
        expected = {a for a in expected if a["op"] == "attention"}
    elif searcher_name == "GPSampler":
        options = {"n_startup_trials": 1000}
    searcher = make_searcher(space, objectives=objectives, seed=1, **options)
    seen: list[Architecture] = []
    while asked := searcher.ask(3):
        for architecture in asked:
            assert space.architecture(architecture) == architecture
            assert space.allows(architecture)
        seen += asked
        values = [(float(len(str(a))), -float(a["depth"]))[:objectives] for a in asked]
        searcher.tell([Measurement(architecture=a, values=v) for a, v in zip(asked, values, strict=True)])
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
    assert searcher.ask(1) == []


def test_restored_from_any_point_it_goes_on_as_if_nothing_had_happened(
    searcher_name: str, make_searcher: MakeSearcher, objectives: int, space: SearchSpace
) -> None:
    total = trials_for(searcher_name)
    sizes = [1, 3, 2] * (total // 6 + 1)
    for cut in range(3) if searcher_name == "GPSampler" else range(0, len(sizes) - 2, 2):
        first = make_searcher(space, objectives=objectives, seed=2)
        history = steps(first, sizes[:cut], objectives)
        outstanding = first.ask(2)
        late = measure(outstanding, objectives=objectives, constrained=True)
        first.tell(late[:1])
        history += late[:1]
        state = json.loads(json.dumps(first.state()))
        second = make_searcher(space, objectives=objectives, seed=2)
        second.restore(state, tuple(history))
        assert second.state() == first.state()
        first.tell(late[1:])
        second.tell(late[1:])
        rest = sizes[cut : cut + (2 if searcher_name == "GPSampler" else 4)]
        continued = [steps(searcher, rest, objectives) for searcher in (first, second)]
        assert [m.architecture for m in continued[0]] == [m.architecture for m in continued[1]]


@pytest.mark.parametrize(
    ("sampler", "options"),
    [
        ("TPESampler", {"n_startup_trials": 6}),
        ("TPESampler", {"n_startup_trials": 6, "multivariate": True, "group": True}),
        ("PartialFixedSampler", {"n_startup_trials": 6, "fixed_params": {"depth": 3}}),
    ],
)
def test_a_sampler_that_is_reseeded_resumes_like_a_new_one(
    sampler: str, options: dict[str, Any], space: SearchSpace
) -> None:
    def make() -> Searcher:
        return OptunaSampler(space, objectives=1, seed=11, sampler=sampler, options=options)

    first = make()
    history = steps(first, [3] * 6, 1)
    outstanding = first.ask(2)
    second = make()
    second.restore(json.loads(json.dumps(first.state())), history)
    late = measure(outstanding, objectives=1, constrained=True)
    continued = []
    for searcher in (first, second):
        searcher.tell(late)
        continued.append([m.architecture for m in steps(searcher, [2, 1, 3], 1)])
    assert continued[0] == continued[1]


def test_equal_seeds_search_equally_and_other_seeds_do_not(
    searcher_name: str, make_searcher: MakeSearcher, objectives: int, space: SearchSpace
) -> None:
    sizes = [2] * 3
    runs = [steps(make_searcher(space, objectives=objectives, seed=seed), sizes, objectives) for seed in (3, 3, 4)]
    asked = [[m.architecture for m in run] for run in runs]
    assert asked[0] == asked[1]
    assert asked[0] != asked[2]


def test_what_it_was_told_unasked_is_never_asked(
    searcher_name: str, make_searcher: MakeSearcher, objectives: int, space: SearchSpace
) -> None:
    probe = make_searcher(space, objectives=objectives, seed=5)
    future = [m.architecture for m in steps(probe, [2, 2, 2], objectives)][2:]
    searcher = make_searcher(space, objectives=objectives, seed=5)
    steps(searcher, [2], objectives)
    searcher.tell(measure(future, objectives=objectives, constrained=True))
    asked = [m.architecture for m in steps(searcher, [2, 2], objectives)]
    assert not set(asked) & set(future)


@pytest.mark.parametrize(
    ("name", "objectives", "trials"),
    [
        ("evolution", 1, 120),
        ("evolution", 2, 120),
        ("evolution", 3, 120),
        ("TPESampler", 2, 48),
        ("NSGAIISampler", 2, 120),
    ],
)
def test_finds_more_than_random_search(name: str, objectives: int, trials: int, space: SearchSpace) -> None:
    def gain(make: MakeSearcher, seed: int) -> float:
        searcher, values = make(space, objectives=objectives, seed=seed), []
        while len(values) < trials:
            asked = searcher.ask(8)
            told = [
                Measurement(architecture=m.architecture, values=(*m.values, m.values[1] / m.values[0])[:objectives])
                for m in measure(asked)
                if m.values
            ]
            searcher.tell(told)
            values += [m.values for m in told]
        return hypervolume(values, (*REFERENCE, 40.0)[:objectives])

    def make(space: SearchSpace, **given: Any) -> Searcher:
        if name == "evolution":
            return Evolution(space, **given)
        options = {"population_size": 16} if name == "NSGAIISampler" else {}
        return OptunaSampler(space, sampler=name, options=options, **given)

    found = [gain(make, seed) for seed in range(3)]
    random = [gain(Random, seed) for seed in range(9)]
    assert np.mean(found) > np.mean(random)


@pytest.mark.parametrize("name", ["evolution", "TPESampler", "NSGAIISampler", "CmaEsSampler"])
def test_constraints_pull_the_search_towards_feasible_architectures(name: str) -> None:
    flat = SearchSpace.build({f"d{i}": Ordinal(*range(10)) for i in range(5)})

    def measured(architecture: Architecture) -> Measurement:
        sizes = [float(v) for v in architecture.values()]
        # What is best for the objective, all sizes at 9, is farthest from what the constraint allows.
        return Measurement(architecture=architecture, values=(-sum(sizes),), violations=(max(0.0, sum(sizes) - 15),))

    options = {"NSGAIISampler": {"population_size": 16}}.get(name, {})
    searcher: Searcher = (
        Evolution(flat, objectives=1, seed=6)
        if name == "evolution"
        else OptunaSampler(flat, objectives=1, seed=6, sampler=name, options=options)
    )
    feasible = []
    for _ in range(12):
        results = [measured(a) for a in searcher.ask(8)]
        searcher.tell(results)
        feasible += [m.feasible for m in results]
    rng = np.random.default_rng(7)
    chance = np.mean([measured(flat.sample(rng)).feasible for _ in range(2000)])
    assert np.mean(feasible[48:]) > 2 * chance


def test_evolution_with_one_objective_finds_the_best_of_a_small_space_before_exhausting_it() -> None:
    flat = SearchSpace.build({f"d{i}": Ordinal(0, 1, 2, 3) for i in range(6)})
    needed = []
    for seed in range(5):
        searcher, count = Evolution(flat, objectives=1, seed=seed), 0
        while True:
            [architecture] = searcher.ask(1)
            count += 1
            value = sum(float(v) ** 2 for v in architecture.values())
            searcher.tell([Measurement(architecture=architecture, values=(value,))])
            if value == 0:
                break
        needed.append(count)
    assert np.mean(needed) < flat.size() / 10


def test_evolution_waits_for_nothing_when_measurements_are_late(space: SearchSpace) -> None:
    searcher = Evolution(space, objectives=2, seed=8, population=4, offspring=4)
    asked = [architecture for _ in range(6) for architecture in searcher.ask(3)]
    assert len(asked) == len(set(asked)) >= 12
    searcher.tell(measure(asked[5:1:-1]))
    assert not set(searcher.ask(4)) & set(asked)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: Evolution(s, objectives=1, seed=0, population=1), "population is 1; it must be at least 2"),
        (lambda s: Evolution(s, objectives=1, seed=0, offspring=0), "offspring is 0; it must be at least 1"),
        (lambda s: Evolution(s, objectives=1, seed=0, crossover=1.5), "crossover is 1.5"),
        (lambda s: Evolution(s, objectives=1, seed=0, changes=0.0), "changes is 0.0"),
        (lambda s: OptunaSampler(s, objectives=1, seed=0, attempts=0), "attempts is 0"),
        (
            lambda s: OptunaSampler(s, objectives=1, seed=0, options={"n_startup": 3}),
            "TPESampler has no option 'n_startup'. Did you mean 'n_startup_trials'",
        ),
        (
            lambda s: OptunaSampler(s, objectives=1, seed=0, sampler="QMCSampler", options={"qmc_type": "sobl"}),
            "QMCSampler cannot use its options {'qmc_type': 'sobl'}",
        ),
        (
            lambda s: OptunaSampler(s, objectives=2, seed=0, sampler="CmaEsSampler"),
            "CmaEsSampler handles one objective, not 2",
        ),
        (
            lambda s: OptunaSampler(s, objectives=1, seed=0, sampler="GridSampler"),
            "GridSampler would list .* points, at most 100000 are possible",
        ),
        (
            lambda s: OptunaSampler(
                s, objectives=1, seed=0, sampler="GridSampler", options={"search_space": {"depht": [1]}}
            ),
            "search_space: unknown dimension 'depht'. Did you mean 'depth'",
        ),
        (
            lambda s: OptunaSampler(
                s, objectives=1, seed=0, sampler="GridSampler", options={"search_space": {"depth": 1}}
            ),
            "search_space.depth must be a list of values, got 1",
        ),
        (lambda s: OptunaSampler(s, objectives=1, seed=0, sampler="PartialFixedSampler"), "needs fixed_params"),
        (
            lambda s: OptunaSampler(
                s, objectives=1, seed=0, sampler="PartialFixedSampler", options={"fixed_params": {"depth": 9}}
            ),
            "fixed_params.depth: 9 is not a choice",
        ),
    ],
)
def test_unusable_options_are_refused(
    make: Callable[[SearchSpace], Searcher], message: str, space: SearchSpace
) -> None:
    with pytest.raises(ConfigError, match=message):
        make(space)


def test_an_unknown_sampler_is_answered_with_the_nearest_names(space: SearchSpace) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown Optuna sampler 'TPESampla'.* Did you mean 'TPESampler'"):
        OptunaSampler(space, objectives=1, seed=0, sampler="TPESampla")


@pytest.mark.parametrize("name", ["random", "evolution", "TPESampler", "NSGAIISampler"])
@pytest.mark.parametrize(
    "state", [{}, {"generator": 3, "told": 1}, {"rounds": [[1]], "trials": [["x", 2]], "outstanding": 4}]
)
def test_a_malformed_state_is_refused(name: str, state: dict[str, Any], space: SearchSpace) -> None:
    made = {"random": Random, "evolution": Evolution}
    searcher = (
        made[name](space, objectives=1, seed=0)
        if name in made
        else OptunaSampler(space, objectives=1, seed=0, sampler=name)
    )
    with pytest.raises(RunError, match=r"saved state of the searcher .* is malformed"):
        searcher.restore(state, measure([space.smallest()], objectives=1))


def test_a_sampler_that_answers_otherwise_after_an_upgrade_still_learns_from_the_history(space: SearchSpace) -> None:
    first = OptunaSampler(space, objectives=2, seed=9, sampler="NSGAIISampler")
    history = steps(first, [2, 2, 2], 2)
    other_version = OptunaSampler(space, objectives=2, seed=10, sampler="NSGAIISampler")
    other_version.restore(json.loads(json.dumps(first.state())), history)
    asked = {m.architecture for m in steps(other_version, [3, 3], 2)}
    assert not asked & {m.architecture for m in history}
    assert other_version.state()["strangers"] == len(history)


def test_a_space_of_one_architecture_is_searched_once() -> None:
    single = SearchSpace.build({"only": Categorical("choice")})
    for searcher in (
        Random(single, objectives=1, seed=0),
        Evolution(single, objectives=1, seed=0),
        OptunaSampler(single, objectives=1, seed=0),
    ):
        assert searcher.ask(5) == [single.smallest()]
        assert searcher.ask(5) == []


def test_evolution_starts_with_the_ends_of_the_space() -> None:
    space = SearchSpace.build({"depth": Ordinal(1, 2, 3), "width": Ordinal(8, 16, 32)})
    first = Evolution(space, objectives=2, seed=0, population=5).ask(5)
    assert {space.smallest(), space.largest()} <= set(first)
    assert len(set(first)) == 5
