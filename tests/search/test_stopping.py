from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError, SpaceError
from automl.search import (
    Ending,
    Evolution,
    History,
    Ledger,
    Measurement,
    Outcome,
    Patience,
    Random,
    hypervolume,
    run_search,
)
from automl.space import Architecture, SearchSpace
from automl.testing.problems import small_space

Start = Callable[..., History]


def constant(architectures: Sequence[Architecture]) -> list[Outcome]:
    return [Outcome(values=(0.5, 0.5)) for _ in architectures]


def measurement(space: SearchSpace, *values: float) -> Measurement:
    return Measurement(architecture=space.smallest(), values=values)


def test_patience_ends_a_search_that_no_longer_gains(
    space: SearchSpace, tabular: Any, start: Start, tmp_path: Path
) -> None:
    rules = [Patience(0.02, 30, objectives=2)]
    history = start(tmp_path, Evolution(space, objectives=2, seed=0), tabular(2), space, trials=600, rules=rules)
    assert 30 < len(history) < 600
    assert history.ending.reason == "patience"
    assert "the last 30 trials added" in history.ending.message
    # The rule would not have ended it any earlier.
    for end in range(30, len(history)):
        rule = Patience(0.02, 30, objectives=2)
        for one in history[:end]:
            rule.hear(one)
        assert rule.ending() is None


def test_a_search_that_ran_out_of_patience_stays_ended_and_a_longer_patience_extends_it(
    space: SearchSpace, tabular: Any, start: Start, outline_of: Callable[..., Any], tmp_path: Path
) -> None:
    def go(folder: Path, trials: int, group: int = 3) -> tuple[History, int]:
        folder.mkdir(exist_ok=True)
        evaluate = tabular(2)
        rules = [Patience(0.05, trials, objectives=2)]
        searcher = Evolution(space, objectives=2, seed=1)
        history = start(folder, searcher, evaluate, space, trials=400, group_size=group, rules=rules)
        return history, len(evaluate.evaluated)

    first, evaluated = go(tmp_path / "a", 10)
    assert evaluated == len(first) < 400
    again, evaluated = go(tmp_path / "a", 10)
    assert (outline_of(again), again.ending, evaluated) == (outline_of(first), first.ending, 0)
    (tmp_path / "a" / "searcher.json").unlink()
    replayed, evaluated = go(tmp_path / "a", 10)
    assert (outline_of(replayed), replayed.ending, evaluated) == (outline_of(first), first.ending, 0)
    longer, _ = go(tmp_path / "a", 60)
    whole, _ = go(tmp_path / "b", 60)
    assert len(longer) > len(first)
    assert outline_of(longer) == outline_of(whole)


def test_every_ending_says_its_reason(space: SearchSpace, tabular: Any, start: Start, tmp_path: Path) -> None:
    def go(name: str, space: SearchSpace = space, **given: Any) -> Ending:
        (tmp_path / name).mkdir()
        searcher = Random(space, objectives=2, seed=0)
        with Ledger(tmp_path / name / "l.log", space=space, objectives=["error", "cost"]) as ledger:
            return run_search(space, searcher, constant, ledger, **{"trials": 40, **given}).ending

    assert go("trials", trials=5) == Ending("trials", "the trial budget of 5 was spent")
    assert go("time", time_budget=1e-9).reason == "time"
    assert go("stop", stop=lambda: True).reason == "stopped"
    assert go("patience", rules=[Patience(0.01, 4, objectives=2)]).reason == "patience"
    assert go("exhausted", small_space(), trials=10**6).reason == "exhausted"


def test_patience_compares_with_the_gain_asked_for(space: SearchSpace) -> None:
    rows = ((4.0, 0.0), (0.0, 4.0), (3.0, 3.0), (2.0, 2.0))
    gained = 1 - hypervolume(rows[:3], (4.4, 4.4)) / hypervolume(rows, (4.4, 4.4))
    for gain, ends in ((gained - 1e-6, False), (gained + 1e-6, True)):
        rule = Patience(gain, 1, objectives=2)
        for row in rows:
            rule.hear(measurement(space, *row))
        assert (rule.ending() is not None) == ends


def test_a_warm_start_is_no_part_of_the_window(space: SearchSpace) -> None:
    rule = Patience(0.1, 3, objectives=1, after=4)
    for _ in range(6):
        rule.hear(measurement(space, 1.0))
        assert rule.ending() is None
    rule.hear(measurement(space, 1.0))
    assert rule.ending() is not None


def test_patience_waits_for_a_feasible_candidate(space: SearchSpace) -> None:
    rule = Patience(0.5, 2, objectives=1)
    for _ in range(5):
        rule.hear(Measurement(architecture=space.smallest(), values=None, failure="broken"))
        rule.hear(Measurement(architecture=space.smallest(), values=(1.0,), violations=(1.0,)))
    assert rule.ending() is None
    rule.hear(measurement(space, 1.0))
    assert rule.ending() is None
    rule.hear(measurement(space, 1.0))
    assert rule.ending() is None
    rule.hear(measurement(space, 1.0))
    assert rule.ending() is not None


@pytest.mark.parametrize(("gain", "trials"), [(0.0, 5), (1.0, 5), (-0.1, 5), (float("nan"), 5), (0.1, 0)])
def test_patience_refuses_numbers_out_of_range(gain: float, trials: int) -> None:
    with pytest.raises(ConfigError, match="patience: "):
        Patience(gain, trials, objectives=2)


# Initial architectures: measured first, told, and the same after a kill.


def some(space: SearchSpace, count: int) -> list[Architecture]:
    import numpy as np

    rng = np.random.default_rng(5)
    return [space.sample(rng) for _ in range(count)]


def test_initial_architectures_come_first_and_once(
    space: SearchSpace, tabular: Any, start: Start, tmp_path: Path
) -> None:
    initial = some(space, 7)
    searcher = Random(space, objectives=2, seed=0)
    history = start(tmp_path, searcher, tabular(2), space, trials=20, group_size=4, initial=[*initial, *initial[:3]])
    assert [m.architecture for m in history[:7]] == initial
    assert len({m.architecture for m in history}) == 20


def test_initial_architectures_that_the_space_forbids_are_skipped_and_foreign_ones_refused(
    tabular: Any, start: Start, tmp_path: Path
) -> None:
    plain = small_space()
    architectures = list(plain.enumerate())
    names = list(dict(architectures[0]))
    rule = {name: [architectures[0][name]] for name in names}
    space = SearchSpace.from_description({**plain.describe(), "forbidden": [rule]})
    assert not space.allows(architectures[0])
    searcher = Random(space, objectives=1, seed=0)
    history = start(tmp_path, searcher, tabular(1), space, trials=3, initial=architectures[:2])
    assert history[0].architecture == architectures[1]
    with pytest.raises(SpaceError):
        start(
            tmp_path, Random(space, objectives=1, seed=0), tabular(1), space, trials=3, initial=[Architecture({"z": 1})]
        )


@pytest.mark.parametrize("kind", [Random, Evolution])
def test_killed_among_initial_architectures_it_has_the_same_history(
    kind: type[Random] | type[Evolution],
    space: SearchSpace,
    tabular: Any,
    start: Start,
    outline_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    initial = some(space, 7)

    class Killed(BaseException):
        pass

    def go(folder: Path, after: int = 10**6) -> History:
        folder.mkdir(exist_ok=True)
        recorded = 0

        def kill(_: Measurement) -> None:
            nonlocal recorded
            recorded += 1
            if recorded >= after:
                raise Killed

        searcher = kind(space, objectives=2, seed=3)
        rules = [Patience(0.05, 8, objectives=2)]
        given = {"trials": 300, "group_size": 3, "initial": initial, "progress": kill, "rules": rules}
        return start(folder, searcher, tabular(2), space, **given)

    whole = go(tmp_path / "whole")
    assert whole.ending.reason == "patience"
    expected = outline_of(whole)
    assert [row[1] for row in expected[:7]] == initial
    for after in (1, 2, 3, 6, 7, 8, 11):
        folder = tmp_path / f"killed{after}"
        with pytest.raises(Killed):
            go(folder, after)
        again = go(folder)
        assert outline_of(again) == expected
        assert again.ending == whole.ending
