"""Each note in a case made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from automl.job.notes import search_notes
from automl.objectives import Objective, Value
from automl.objectives.candidate import Candidate
from automl.objectives.constraints import parse_constraints
from automl.search import Ending, History, Measurement
from automl.space import Architecture, Categorical, Ordinal, SearchSpace

SPACE = SearchSpace.build({"width": Ordinal(8, 16, 24), "depth": Ordinal(*range(50)), "op": Categorical("a", "b")})
ENDING = Ending("trials", "the trial budget was spent")


class Exact(Objective):
    name: ClassVar[str] = "error"

    def measure(self, candidate: Candidate) -> Value:
        raise NotImplementedError


class Noisy(Objective):
    name: ClassVar[str] = "latency"
    unit: ClassVar[str] = "ms"
    repeatable: ClassVar[bool] = False

    def measure(self, candidate: Candidate) -> Value:
        raise NotImplementedError


def measured(*values: float, violations: Sequence[float] = ()) -> Measurement:
    return Measurement(architecture=SPACE.smallest(), values=values, violations=tuple(violations))


def failed(text: str) -> Measurement:
    return Measurement(architecture=SPACE.smallest(), values=None, failure=text)


def member(
    width: int, latency: float = 1.0, half: float | None = None, searched: float | None = None
) -> dict[str, Any]:
    low, high = (None, None) if half is None else (latency - half, latency + half)
    return {
        "architecture": {"width": width, "depth": width % 7, "op": "a"},
        "searched": {"latency": latency if searched is None else searched},
        "measured": {"latency": {"value": latency, "low": low, "high": high}},
    }


def notes(
    history: Sequence[Measurement],
    members: Sequence[dict[str, Any]] = (),
    *,
    constraints: Sequence[str] = (),
    **given: Any,
) -> dict[str, str]:
    found = search_notes(
        History(history, ENDING),
        {"members": list(members)},
        space=given.get("space", SPACE),
        objectives=given.get("objectives", [Exact(), Exact()]),
        constraints=parse_constraints(constraints),
    )
    assert [set(note) for note in found] == [{"kind", "text"}] * len(found)
    return {note["kind"]: note["text"] for note in found}


def test_the_reason_of_the_end_comes_first_and_a_quiet_search_says_no_more() -> None:
    assert notes([measured(1, 1)] * 5) == {"ended": "ended after 5 candidates: the trial budget was spent"}


def test_a_front_that_still_grows_asks_for_more_trials_and_one_that_does_not_says_so() -> None:
    growing = [measured(20.0 - i, 1.0 + (i % 3)) for i in range(16)]
    assert "still growing: the last quarter of the trials (4) added" in notes(growing)["growth"]
    assert notes(growing)["growth"].endswith("more trials would help")
    flat = [measured(1, 4), measured(4, 1)] + [measured(5, 5)] * 14
    assert notes(flat)["growth"] == (
        "the front had all but stopped growing: the last quarter of the trials (4) added 0.0% to the hypervolume"
    )


def test_an_exhausted_space_does_not_ask_for_more_trials() -> None:
    space = SearchSpace.build({"width": Ordinal(8, 16)})
    history = [measured(2, 1), measured(1, 2)]
    assert notes(history, space=space)["growth"].startswith("the whole space was measured")


def test_failures_are_grouped_by_reason_once_they_are_many() -> None:
    history = [*[failed(f"Traceback\nMemoryError: {i} bytes") for i in range(3)], failed("KeyError: x"), measured(1, 1)]
    assert notes(history)["failures"] == "4 of 5 candidates failed, 3 of them with: MemoryError: # bytes"
    assert "failures" not in notes([failed("x"), *[measured(1, 1)] * 99])


def test_constraints_that_nobody_met_are_told_with_the_closest_candidate() -> None:
    history = [measured(1, 1, violations=(0.5, 0.0)), measured(1, 1, violations=(0.2, 0.1))]
    given = ["latency<=1ms", "params<=10k"]
    assert notes(history, constraints=given)["infeasible"] == (
        "no candidate met all constraints; the closest one missed 'latency<=1ms' by 0.2 times its bound, "
        "'params<=10k' by 0.1 times its bound"
    )
    rare = [measured(1, 1, violations=(0.0, 0.0)), *history * 6]
    assert notes(rare, constraints=given)["infeasible"].startswith(
        "only 1 of 13 measured candidates met all constraints"
    )
    assert "infeasible" not in notes([rare[0]] * 3, constraints=given)


@pytest.mark.parametrize(
    ("half", "shift", "verdict"),
    [(0.1, 0.0, "can be told apart"), (2.0, 0.0, "cannot be told apart"), (0.1, 3.0, "cannot be told apart")],
)
def test_noise_is_compared_with_the_gaps_between_neighbours(half: float, shift: float, verdict: str) -> None:
    members = [member(8, latency, half, latency + shift) for latency in (1.0, 2.0, 3.0)]
    text = notes([measured(1, 1)], members, objectives=[Exact(), Noisy()])["noise"]
    assert f"half of its 95 % interval is {half:.3g} ms" in text
    assert f"differs by {shift:.3g} ms" in text
    assert "the gap between neighbours on the front 1 ms" in text
    assert f"neighbours {verdict} by it" in text
    assert "noise" not in notes([measured(1, 1)], members)


def test_noise_without_intervals_is_the_change_when_repeated() -> None:
    members = [member(8, latency, None, latency + 0.25) for latency in (1.0, 2.0)]
    text = notes([measured(1, 1)], members, objectives=[Exact(), Noisy()])["noise"]
    assert text.startswith("latency: the typical change when repeated is 0.25 ms, the gap")
    assert "noise" not in notes([measured(1, 1)], [], objectives=[Noisy()])


def test_members_at_the_edge_of_the_space_ask_for_a_wider_one() -> None:
    edge = notes([measured(1, 1)], [member(24), member(24), member(24), member(8)])["edge"]
    assert "width is 24, its largest, in 3 of 4" in edge
    assert "a wider space may hold better ones" in edge
    assert "op" not in edge
    assert "edge" not in notes([measured(1, 1)], [member(24), member(16), member(16), member(8)])
    assert "edge" not in notes([measured(1, 1)], [member(24)] * 3)


def test_architectures_need_not_have_every_dimension() -> None:
    one = {**member(24), "architecture": dict(Architecture({"op": "a"}))}
    assert "edge" not in notes([measured(1, 1)], [one] * 6)
