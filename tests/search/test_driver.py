from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError, RunError
from automl.search import Evolution, Ledger, Measurement, Outcome, Random, Searcher, run_search
from automl.search import driver as driver_module
from automl.space import Architecture, SearchSpace
from automl.testing.problems import error_and_cost, small_space

MakeSearcher = Callable[..., Searcher]
Start = Callable[..., list[Measurement]]
OutlineOf = Callable[[Sequence[Measurement]], list[Any]]


class Killed(BaseException):
    """What ``kill -9`` looks like from inside: nothing below handles it."""


class Executioner:
    """Kills at the ``n``-th of all moments before or after an evaluation, a write of the ledger or of the state."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.moments = 0
        self._between(monkeypatch, Ledger, "append")
        self._between(monkeypatch, driver_module, "write_state")

    def moment(self) -> None:
        self.moments += 1
        self.left -= 1
        if self.left == 0:
            raise Killed

    def _between(self, monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
        real = getattr(owner, name)

        def watched(*args: Any) -> Any:
            self.moment()
            result = real(*args)
            self.moment()
            return result

        monkeypatch.setattr(owner, name, watched)


def test_killed_at_any_moment_and_started_again_it_has_the_same_history(
    searcher_name: str,
    make_searcher: MakeSearcher,
    objectives: int,
    space: SearchSpace,
    tabular: Any,
    start: Start,
    outline_of: OutlineOf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = searcher_name == "GPSampler"
    given = {"trials": 8 if slow else 13, "group_size": 3}
    executioner = Executioner(monkeypatch)

    def go(folder: Path) -> list[Measurement]:
        folder.mkdir(exist_ok=True)
        searcher = make_searcher(space, objectives=objectives, seed=1)
        return start(folder, searcher, tabular(objectives, constrained=True), space, **given)

    expected = outline_of(go(tmp_path / "whole"))
    moments = executioner.moments
    assert moments > 2 * len(expected)
    # Every moment for our own searchers; those of Optuna share all code but the adapter's.
    step = {"random": 1, "evolution": 1, "GPSampler": 15}.get(searcher_name, 5)
    for moment in range(1 + len(searcher_name) % step, moments + 1, step):
        folder = tmp_path / f"killed{moment}"
        executioner.left = moment
        with pytest.raises(Killed):
            go(folder)
        assert outline_of(go(folder)) == expected
    folder = tmp_path / "killed-again-and-again"
    kills = 0
    while True:
        executioner.left = 8 if slow else 5
        try:
            result = outline_of(go(folder))
            break
        except Killed:
            kills += 1
    assert kills >= 2
    assert result == expected
    executioner.left = -1


def test_without_a_state_file_everything_is_replayed_and_nothing_measured_twice(
    space: SearchSpace, tabular: Any, start: Start, outline_of: OutlineOf, tmp_path: Path
) -> None:
    whole = start(tmp_path, Evolution(space, objectives=2, seed=2), tabular(2), space, trials=60, group_size=4)
    again = tmp_path / "again"
    again.mkdir()
    start(again, Evolution(space, objectives=2, seed=2), tabular(2), space, trials=32, group_size=4)
    for state in ("", "{", "[]", '{"format": 1, "told": 32, "searcher": "Random", "state": {}}', '{"format": 0}'):
        (again / "searcher.json").write_text(state)
        evaluate = tabular(2)
        history = start(again, Evolution(space, objectives=2, seed=2), evaluate, space, trials=60, group_size=4)
        assert outline_of(history) == outline_of(whole)
        measured = {m.architecture for m in history[:32]}
        assert not measured & set(evaluate.evaluated)


def test_a_state_ahead_of_the_ledger_is_replayed(
    space: SearchSpace, tabular: Any, start: Start, outline_of: OutlineOf, tmp_path: Path
) -> None:
    whole = start(tmp_path, Evolution(space, objectives=2, seed=3), tabular(2), space, trials=30)
    lines = (tmp_path / "ledger.log").read_bytes().splitlines(keepends=True)
    (tmp_path / "ledger.log").write_bytes(b"".join(lines[:-1]) + lines[-1][:99])
    again = start(tmp_path, Evolution(space, objectives=2, seed=3), tabular(2), space, trials=30)
    assert outline_of(again) == outline_of(whole)


def test_more_trials_continue_a_finished_search(
    space: SearchSpace, tabular: Any, start: Start, outline_of: OutlineOf, tmp_path: Path
) -> None:
    (tmp_path / "whole").mkdir()
    whole = start(
        tmp_path / "whole", Evolution(space, objectives=2, seed=4), tabular(2), space, trials=40, group_size=4
    )
    for trials in (12, 12, 20, 40, 8):
        evaluate = tabular(2)
        history = start(tmp_path, Evolution(space, objectives=2, seed=4), evaluate, space, trials=trials, group_size=4)
    assert outline_of(history) == outline_of(whole)
    assert evaluate.evaluated == []


def test_another_searcher_learns_from_what_the_ledger_holds(
    space: SearchSpace, tabular: Any, start: Start, tmp_path: Path
) -> None:
    first = start(tmp_path, Random(space, objectives=2, seed=5), tabular(2), space, trials=20)
    searcher = Evolution(space, objectives=2, seed=6)
    both = start(tmp_path, searcher, tabular(2), space, trials=50, group_size=4)
    assert both[:20] == first
    assert [m.number for m in both] == list(range(50))
    assert len({m.architecture for m in both}) == 50
    assert searcher.state()["told"] == 50


def test_failures_are_recorded_with_their_traceback_and_do_not_end_the_search(
    space: SearchSpace, tabular: Any, start: Start, tmp_path: Path
) -> None:
    for group in (1, 5):
        folder = tmp_path / str(group)
        folder.mkdir()
        evaluate = tabular(2)
        history = start(folder, Random(space, objectives=2, seed=7), evaluate, space, trials=60, group_size=group)
        assert evaluate.evaluated == [m.architecture for m in history]
        failed = [m for m in history if m.values is None]
        raised = [m for m in failed if int(m.architecture.id, 16) % 7 == 0]
        assert len(raised) > 3
        assert len(failed) > len(raised)
        for measurement in raised:
            assert f"ArithmeticError: no memory for {measurement.architecture.id}" in str(measurement.failure)
            assert "Traceback" in str(measurement.failure)
            assert "conftest.py" in str(measurement.failure)
        for measurement in failed:
            if measurement not in raised:
                assert measurement.failure == "objective 'error' is nan; it must be a finite number."
        for measurement in history:
            assert measurement in failed or measurement.values == error_and_cost(measurement.architecture)


def test_each_member_of_a_group_that_failed_as_a_whole_answers_for_itself(space: SearchSpace, tmp_path: Path) -> None:
    calls: list[int] = []

    def evaluate(architectures: Sequence[Architecture]) -> list[Outcome]:
        calls.append(len(architectures))
        if any(a["depth"] == 3 for a in architectures):
            raise MemoryError("too deep")
        return [Outcome(values=[1.0]) for _ in architectures]

    with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"]) as ledger:
        history = run_search(space, Random(space, objectives=1, seed=8), evaluate, ledger, trials=24, group_size=6)
    assert [m.values is None for m in history] == [m.architecture["depth"] == 3 for m in history]
    assert {1, 6} <= set(calls)


@pytest.mark.parametrize("surplus", [-1, 1])
def test_an_evaluation_that_miscounts_is_caught(surplus: int, space: SearchSpace, tmp_path: Path) -> None:
    def evaluate(architectures: Sequence[Architecture]) -> list[Outcome]:
        return [Outcome(values=[float(len(architectures))])] * (len(architectures) + surplus)

    with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"]) as ledger:
        history = run_search(space, Random(space, objectives=1, seed=9), evaluate, ledger, trials=3, group_size=3)
    if surplus < 0:
        assert "of 3 architectures gave 2 outcomes" in str(history[2].failure)
    else:
        assert [m.values for m in history] == [(3.0,)] * 3


def test_too_many_failures_in_a_row_end_the_search_and_a_restart_tries_as_many_again(
    space: SearchSpace, tmp_path: Path
) -> None:
    def broken(architectures: Sequence[Architecture]) -> Iterator[Outcome]:
        raise OSError("no such device")

    def go(**given: Any) -> list[Measurement]:
        with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"]) as ledger:
            state = tmp_path / "searcher.json"
            return run_search(
                space, Random(space, objectives=1, seed=10), broken, ledger, trials=40, state_file=state, **given
            )

    def recorded() -> int:
        with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"], read_only=True) as ledger:
            return len(ledger.read())

    with pytest.raises(RunError, match=r"the last 7 candidates failed.*\(number 6\).*OSError: no such device"):
        go(failures_in_a_row=7)
    assert recorded() == 7
    with pytest.raises(RunError, match=r"number 13"):
        go(failures_in_a_row=7)
    assert recorded() == 14
    assert len(go()) == 40


def test_failures_before_a_kill_count(space: SearchSpace, tmp_path: Path) -> None:
    evaluated = 0

    def broken(architectures: Sequence[Architecture]) -> list[Outcome]:
        nonlocal evaluated
        evaluated += 1
        if evaluated == 4:
            raise Killed
        return [Outcome(failure="broken")]

    def go() -> None:
        with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"]) as ledger:
            run_search(
                space,
                Random(space, objectives=1, seed=11),
                broken,
                ledger,
                trials=40,
                state_file=tmp_path / "searcher.json",
                failures_in_a_row=5,
            )

    with pytest.raises(Killed):
        go()
    with pytest.raises(RunError, match="number 4"):
        go()


def test_a_stop_is_honoured_after_the_group_in_flight(
    space: SearchSpace, tabular: Any, start: Start, outline_of: OutlineOf, tmp_path: Path
) -> None:
    seen: list[Measurement] = []
    history = start(
        tmp_path,
        Evolution(space, objectives=2, seed=12),
        tabular(2),
        space,
        trials=40,
        group_size=4,
        stop=lambda: len(seen) >= 6,
        progress=seen.append,
    )
    assert history == seen
    assert len(history) == 8
    rest = start(tmp_path, Evolution(space, objectives=2, seed=12), tabular(2), space, trials=40, group_size=4)
    (tmp_path / "whole").mkdir()
    whole = start(
        tmp_path / "whole", Evolution(space, objectives=2, seed=12), tabular(2), space, trials=40, group_size=4
    )
    assert outline_of(rest) == outline_of(whole)


def test_the_time_budget_counts_earlier_starts(space: SearchSpace, tmp_path: Path) -> None:
    def evaluate(architectures: Sequence[Architecture]) -> Iterator[Outcome]:
        for _ in architectures:
            time.sleep(0.02)
            yield Outcome(values=[1.0])

    counts = []
    for _ in range(2):
        with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"]) as ledger:
            state = tmp_path / "searcher.json"
            searcher = Random(space, objectives=1, seed=13)
            history = run_search(
                space, searcher, evaluate, ledger, trials=1000, group_size=2, state_file=state, time_budget=0.15
            )
        counts.append(len(history))
    assert 2 <= counts[0] <= 8
    assert counts[1] == counts[0]
    assert all(m.details["seconds"] >= 0.02 for m in history)


def test_seconds_of_a_group_are_shared_by_its_members(space: SearchSpace, tmp_path: Path) -> None:
    def evaluate(architectures: Sequence[Architecture]) -> list[Outcome]:
        time.sleep(0.06)
        return [Outcome(values=[1.0]) for _ in architectures]

    with Ledger(tmp_path / "ledger.log", space=space, objectives=["error"]) as ledger:
        history = run_search(space, Random(space, objectives=1, seed=14), evaluate, ledger, trials=3, group_size=3)
    assert all(0.02 <= m.details["seconds"] < 0.06 for m in history)


def test_a_search_ends_when_the_space_is_exhausted(tmp_path: Path) -> None:
    space = small_space()
    with Ledger(tmp_path / "ledger.log", space=space, objectives=["depth"]) as ledger:
        history = run_search(
            space,
            Evolution(space, objectives=1, seed=15),
            lambda asked: [Outcome(values=[float(a["depth"])]) for a in asked],
            ledger,
            trials=1000,
            group_size=7,
        )
    assert {m.architecture for m in history} == set(space.enumerate())
    assert len(history) == space.size()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"trials": 0}, "trials is 0; it must be at least 1"),
        ({"trials": -3}, "trials is -3"),
        ({"trials": 1, "group_size": 0}, "group_size is 0"),
        ({"trials": 1, "failures_in_a_row": 0}, "failures_in_a_row is 0"),
        ({"trials": 1, "time_budget": 0.0}, "time_budget is 0.0 s; it must be above 0"),
        ({"trials": 1, "time_budget": float("nan")}, "time_budget is nan"),
    ],
)
def test_budgets_out_of_range_are_refused(
    given: dict[str, Any], message: str, space: SearchSpace, tabular: Any, start: Start, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        start(tmp_path, Random(space, objectives=2, seed=0), tabular(2), space, **given)


def test_a_ledger_of_another_space_is_refused(space: SearchSpace, tabular: Any, start: Start, tmp_path: Path) -> None:
    with (
        Ledger(tmp_path / "ledger.log", space=small_space(), objectives=["error", "cost"]) as ledger,
        pytest.raises(ConfigError, match="another search space"),
    ):
        run_search(space, Random(space, objectives=2, seed=0), tabular(2), ledger, trials=1)


def test_an_unwritable_state_is_a_clear_error_and_the_measurement_is_kept(
    space: SearchSpace, tabular: Any, tmp_path: Path
) -> None:
    with Ledger(tmp_path / "ledger.log", space=space, objectives=["error", "cost"]) as ledger:
        with pytest.raises(RunError, match="cannot be written"):
            run_search(
                space,
                Random(space, objectives=2, seed=0),
                tabular(2),
                ledger,
                trials=1,
                state_file=tmp_path / "no" / "such" / "folder.json",
            )
        assert len(ledger.read()) == 1


def test_the_state_file_is_one_json_object(space: SearchSpace, tabular: Any, start: Start, tmp_path: Path) -> None:
    start(tmp_path, Evolution(space, objectives=2, seed=0), tabular(2), space, trials=5, group_size=2)
    state = json.loads((tmp_path / "searcher.json").read_text())
    assert state["told"] == 5
    assert state["searcher"] == "Evolution"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ledger.log", "searcher.json"]
