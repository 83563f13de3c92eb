"""Checks of a searcher: valid proposals, exact resume, determinism, and that it learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from automl.host import Host
from automl.host import Searcher as SearcherRecord
from automl.search import Measurement, Searcher, hypervolume
from automl.space import Architecture, SearchSpace
from automl.testing.check import Check, expect
from automl.testing.documentation import check_examples
from automl.testing.problems import REFERENCE, large_space, measure, small_space

__all__ = ["searcher_checks"]

Make: TypeAlias = Callable[..., Searcher]

_SEEDS: Final = (1, 2)
_LOOKS: Final = (40, 80, 120)
"""Numbers of trials after which a search may prove that it learns; those that learn fast are often slow in proposing."""
_GROUP: Final = 5


def searcher_checks(component: SearcherRecord, host: Host) -> list[Check]:
    """Returns the checks of a searcher; it is built with its default options.

    One that declares ``learns = False`` need not improve on random search. Any other has 120 trials to prove that it does, and
    is believed as soon as it has: searchers that think long about each proposal are checked in few of them.

    Args:
        component: its record.
        host: unused; searchers need no other component.
    """
    subject = f"searcher {component.name}"
    kind: type[Searcher] = component.load()
    checks: dict[str, Callable[[Make], None]] = {
        "asks valid new architectures": _check_proposals,
        "exhausts a small space": _check_exhaustion,
        "resumes exactly": _check_resume,
        "same seed, same search": _check_seeds,
        "survives failed measurements": _check_failures,
        "never asks what it was told": _check_strangers,
    }
    if kind.learns:
        checks |= {
            "improves on random with one objective": partial(_check_learning, 1),
            "improves on random with two objectives": partial(_check_learning, 2),
            "approaches feasible candidates": _check_constraints,
        }
    return [
        *(Check(subject, name, partial(function, kind)) for name, function in checks.items()),
        Check(subject, "same seed, same search in a fresh process", partial(_check_fresh_process, component)),
        Check(subject, "examples run", partial(check_examples, kind)),
    ]


def _check_proposals(make: Make) -> None:
    for space in (small_space(), large_space()):
        searcher = make(space, objectives=2, seed=5)
        seen: set[Architecture] = set()
        for n in (1, 4, 9, 2, 6):
            asked = searcher.ask(n)
            expect(1 <= len(asked) <= n, f"ask({n}) gives {len(asked)} architectures; expected 1 to {n}.")
            _expect_valid_and_new(space, asked, seen)
            seen |= set(asked)
            searcher.tell(_measured(asked))


def _check_exhaustion(make: Make) -> None:
    space = small_space()
    searcher = make(space, objectives=2, seed=6)
    seen: set[Architecture] = set()
    while asked := searcher.ask(_GROUP):
        _expect_valid_and_new(space, asked, seen)
        seen |= set(asked)
        searcher.tell(_measured(asked))
    expect(len(seen) == space.size(), f"ask gives up after {len(seen)} of {space.size()} architectures.")
    expect(searcher.ask(1) == [], "an exhausted searcher must keep answering [].")


def _check_resume(make: Make) -> None:
    for cut in (0, 2, 7):
        _expect_equal_continuation(make, large_space(), cut, steps=3)
    # Only in a small space, and asked until it is exhausted, does a forgotten outstanding architecture surely come again.
    _expect_equal_continuation(make, small_space(), 2, steps=8)


def _expect_equal_continuation(make: Make, space: SearchSpace, cut: int, steps: int) -> None:
    first = make(space, objectives=2, seed=7)
    history: list[Measurement] = []
    for _ in range(cut):
        _step(first, history)
    outstanding = first.ask(3)
    told = _measured(outstanding[:1])
    first.tell(told)
    history += told
    state = json.loads(json.dumps(first.state()))
    second = make(space, objectives=2, seed=7)
    second.restore(state, tuple(history))
    where = f"after {len(history)} measurements"
    expect(second.state() == first.state(), f"{where}: the restored state differs from the saved one.")
    histories = list(history), list(history)
    for step in range(steps):
        a, b = _step(first, histories[0]), _step(second, histories[1])
        expect(a == b, f"{where}: a resumed search asks {b}, an unbroken one {a} (step {step}).")
    late = _measured(outstanding[1:])
    first.tell(late)
    second.tell(late)
    a, b = first.ask(_GROUP), second.ask(_GROUP)
    expect(a == b, f"{where}: told late results, a resumed search asks {b}, an unbroken one {a}.")


def _check_seeds(make: Make) -> None:
    space = large_space()
    runs = [[m.architecture for m in _search(make(space, objectives=2, seed=seed), 25)] for seed in (8, 8, 9)]
    expect(runs[0] == runs[1], "two searchers with the same seed ask differently.")
    expect(runs[0] != runs[2], "searchers with different seeds ask the same.")


def _check_fresh_process(component: SearcherRecord) -> None:
    expected = _ids(component.load())
    # What an extra brings in may need torch, and such a searcher says so in its record; all others must do without.
    light = not component.requires
    script = (
        "import importlib, json, sys; from automl.testing.searcher_checks import _ids; "
        f"make = getattr(importlib.import_module({component.target.split(':')[0]!r}), {component.target.split(':')[1]!r}); "
        f"print('ids=' + json.dumps(_ids(make))); sys.exit({light} and 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    expect(done.returncode == 0, f"a fresh process fails or imports torch: {done.stdout}{done.stderr}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("ids="))
    expect(json.loads(line[4:]) == expected, "another process, with another hash seed, asks differently.")


def _ids(make: Make) -> list[str]:
    return [m.architecture.id for m in _search(make(large_space(), objectives=2, seed=10), 25)]


def _check_failures(make: Make) -> None:
    space = large_space()
    searcher = make(space, objectives=2, seed=11)
    seen: set[Architecture] = set()
    for number in range(14):
        asked = searcher.ask(_GROUP)
        expect(bool(asked), f"the search ends after {len(seen)} measurements, many of them failures.")
        _expect_valid_and_new(space, asked, seen)
        seen |= set(asked)
        results = measure(asked)
        for position in range(len(results)):
            if number < 3 or position % 2:
                results[position] = Measurement(architecture=asked[position], values=None, failure="out of memory")
        searcher.tell(results)


def _check_strangers(make: Make) -> None:
    space = small_space()
    known = list(space.enumerate())[::2]
    searcher = make(space, objectives=2, seed=12)
    first = searcher.ask(2)
    searcher.tell(_measured([a for a in known if a not in first]))
    searcher.tell(_measured(first))
    seen = {*known, *first}
    while asked := searcher.ask(_GROUP):
        _expect_valid_and_new(space, asked, seen)
        seen |= set(asked)
        searcher.tell(_measured(asked))
    expect(len(seen) == space.size(), f"ask gives up after {len(seen)} of {space.size()} architectures.")


def _check_learning(objectives: int, make: Make) -> None:
    space = large_space()
    others = _values(measure(_distinct_samples(space, 400, seed=20), objectives=objectives))

    def objection(later: Sequence[Sequence[Measurement]]) -> str | None:
        count = len(later[0])
        rates = [_dominance(_values(history), others) for history in later]
        chance = [
            _dominance(_values(measure(_distinct_samples(space, count, seed), objectives=objectives)), others)
            for seed in range(100, 130)
        ]
        bound = float(np.mean(chance) + 3 * np.std(chance) / len(_SEEDS) ** 0.5)
        if float(np.mean(rates)) <= bound:
            return (
                f"the later candidates dominate {np.mean(rates):.1%} of random ones; random ones reach "
                f"{np.mean(chance):.1%}, by chance up to {bound:.1%}."
            )
        if objectives == 2:
            # Candidates that all gather at one good place would dominate many others, too.
            found = float(np.mean([hypervolume(_values(history), REFERENCE) for history in later]))
            floor = 0.9 * hypervolume(others[:count], REFERENCE)
            if found <= floor:
                return f"the later candidates have hypervolume {found:.3f}, below {floor:.3f}: no front is spread."
        return None

    _expect_proof(make, objection, objectives)


def _values(history: Sequence[Measurement]) -> npt.NDArray[np.float64]:
    return np.array([m.values for m in history if m.values is not None])


def _dominance(values: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> float:
    """Mean share of the others that a candidate is at least as good as in every objective."""
    return float((values[:, None, :] <= others[None, :, :]).all(-1).mean())


def _check_constraints(make: Make) -> None:
    # Not the share of feasible ones counts: whoever has found the best feasible candidate rightly tries what is just beyond.
    random = _excess(measure(_distinct_samples(large_space(), 2000, seed=40), constrained=True))

    def objection(later: Sequence[Sequence[Measurement]]) -> str | None:
        found = np.concatenate([_excess(history) for history in later])
        bound = float(random.mean() - 4 * random.std() / len(found) ** 0.5)
        if float(found.mean()) < bound:
            return None
        return (
            f"the later candidates violate the constraint by {found.mean():.2f} on average, random ones by "
            f"{random.mean():.2f}, by chance down to {bound:.2f}."
        )

    _expect_proof(make, objection, objectives=1, constrained=True)


def _excess(history: Sequence[Measurement]) -> npt.NDArray[np.float64]:
    return np.array([sum(m.violations) for m in history])


def _expect_proof(
    make: Make,
    objection: Callable[[Sequence[Sequence[Measurement]]], str | None],
    objectives: int,
    *,
    constrained: bool = False,
) -> None:
    """Searches with every seed until the later halves of the histories raise no objection any more, or fails with the last."""
    searchers = [make(large_space(), objectives=objectives, seed=seed) for seed in _SEEDS]
    histories: list[list[Measurement]] = [[] for _ in _SEEDS]
    raised: str | None = None
    for trials in _LOOKS:
        for searcher, history in zip(searchers, histories, strict=True):
            _extend(searcher, history, trials, objectives, constrained=constrained)
        raised = objection([history[trials // 2 :] for history in histories])
        if raised is None:
            return
    expect(False, str(raised))


def _search(searcher: Searcher, trials: int) -> list[Measurement]:
    history: list[Measurement] = []
    _extend(searcher, history, trials, objectives=2)
    return history


def _extend(
    searcher: Searcher, history: list[Measurement], trials: int, objectives: int, *, constrained: bool = False
) -> None:
    while len(history) < trials:
        asked = searcher.ask(min(_GROUP, trials - len(history)))
        expect(bool(asked), f"the search ends after {len(history)} measurements.")
        results = measure(asked, objectives=objectives, constrained=constrained)
        searcher.tell(results)
        history += results


def _step(searcher: Searcher, history: list[Measurement]) -> list[Architecture]:
    asked = searcher.ask(_GROUP)
    results = _measured(asked)
    searcher.tell(results)
    history += results
    return asked


def _distinct_samples(space: SearchSpace, n: int, seed: int) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    found: dict[Architecture, None] = {}
    while len(found) < n:
        found[space.sample(rng)] = None
    return list(found)


def _measured(architectures: Sequence[Architecture]) -> list[Measurement]:
    """Measurements in any space, where only the asking matters: two numbers that depend on the choices."""
    values = [(sum(map(_number, a.values())), -max(map(_number, a.values()))) for a in architectures]
    return [Measurement(architecture=a, values=v) for a, v in zip(architectures, values, strict=True)]


def _number(value: Any) -> float:
    return float(len(value)) if isinstance(value, str) else float(value)


def _expect_valid_and_new(space: SearchSpace, asked: Sequence[Architecture], seen: set[Architecture]) -> None:
    for architecture in asked:
        expect(isinstance(architecture, Architecture), f"ask gives {architecture!r}, which is no Architecture.")
        expect(space.canonical(architecture) == architecture, f"{architecture} is not canonical.")
        expect(space.allows(architecture), f"{architecture} is forbidden.")
        expect(architecture not in seen, f"{architecture} was asked or told before.")
    expect(len(set(asked)) == len(asked), "one answer repeats an architecture.")
