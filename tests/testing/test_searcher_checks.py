"""Every check of a searcher can fail: each is shown a searcher that breaks just that promise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from automl.host import Host
from automl.host import Searcher as SearcherRecord
from automl.search import Evolution, Measurement, Random, Searcher
from automl.space import Architecture, SearchSpace
from automl.testing import Check
from automl.testing.searcher_checks import searcher_checks

_counter = itertools.count()


class Wrapped(Searcher):
    """Random search, to be broken.

    Example:
        >>> 1 + 1
        2
    """

    learns: ClassVar[bool] = False

    def __init__(self, space: SearchSpace, *, objectives: int, seed: int) -> None:
        self.space = space
        self.inner = Random(space, objectives=objectives, seed=seed)

    def ask(self, n: int) -> list[Architecture]:
        return self.inner.ask(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        self.inner.tell(results)

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        self.inner.restore(state, history)


class AsksTooMuch(Wrapped):
    def ask(self, n: int) -> list[Architecture]:
        return self.inner.ask(n + 1)


class Repeats(Wrapped):
    def ask(self, n: int) -> list[Architecture]:
        return [self.space.smallest(), *self.inner.ask(n)][:n]


class KeepsInactive(Wrapped):
    def ask(self, n: int) -> list[Architecture]:
        extra = {name: d.choices[0] for name, d in self.space.dimensions.items()}
        return [Architecture({**extra, **a}) for a in self.inner.ask(n)]


class GivesUpEarly(Wrapped):
    def __init__(self, space: SearchSpace, *, objectives: int, seed: int) -> None:
        super().__init__(space, objectives=objectives, seed=seed)
        self.left = 30

    def ask(self, n: int) -> list[Architecture]:
        asked = self.inner.ask(min(n, self.left)) if self.left else []
        self.left -= len(asked)
        return asked


class ForgetsItsGenerator(Wrapped):
    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        self.inner.restore(state, history)
        self.inner._rng = np.random.default_rng(0)


class ForgetsOutstanding(Wrapped):
    def state(self) -> dict[str, Any]:
        return {**self.inner.state(), "outstanding": []}


class IgnoresItsSeed(Wrapped):
    def __init__(self, space: SearchSpace, *, objectives: int, seed: int) -> None:
        super().__init__(space, objectives=objectives, seed=0)


class CountsInstances(Wrapped):
    def __init__(self, space: SearchSpace, *, objectives: int, seed: int) -> None:
        super().__init__(space, objectives=objectives, seed=next(_counter))


class StopsAtFailures(Wrapped):
    failed = 0

    def ask(self, n: int) -> list[Architecture]:
        return [] if self.failed > 9 else self.inner.ask(n)

    def tell(self, results: Sequence[Measurement]) -> None:
        self.failed += sum(r.values is None for r in results)
        self.inner.tell(results)


class DeafToStrangers(Wrapped):
    def tell(self, results: Sequence[Measurement]) -> None:
        self.inner.tell([r for r in results if self.inner._pending.awaits(r.architecture)])


class ClaimsToLearn(Wrapped):
    learns = True


class IgnoresConstraints(Wrapped):
    """Learns, but only from the values."""

    learns = True

    def __init__(self, space: SearchSpace, *, objectives: int, seed: int) -> None:
        self.inner = Evolution(space, objectives=objectives, seed=seed)  # type: ignore[assignment]

    def tell(self, results: Sequence[Measurement]) -> None:
        self.inner.tell([replace(result, violations=()) for result in results])


class Gathers(Wrapped):
    """Asks for the neighbours of one good network only: many are dominated, no front is spread."""

    learns = True

    def ask(self, n: int) -> list[Architecture]:
        good: dict[str, int | str] = {"depth": 4}
        for layer in range(1, 7):
            good |= {f"layer{layer}.op": "conv" if layer < 4 else "attention", f"layer{layer}.width": 8}
            good |= {f"layer{layer}.kernel": 3}
        return [self.space.canonical(good)] * n


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (AsksTooMuch, "asks valid new architectures", "ask(1) gives 2 architectures"),
        (Repeats, "asks valid new architectures", "was asked or told before"),
        (KeepsInactive, "asks valid new architectures", "is not canonical"),
        (GivesUpEarly, "exhausts a small space", "gives up after 30 of 37"),
        (ForgetsItsGenerator, "resumes exactly", "the restored state differs"),
        (ForgetsOutstanding, "resumes exactly", ""),
        (CountsInstances, "same seed, same search", "with the same seed ask differently"),
        (IgnoresItsSeed, "same seed, same search", "with different seeds ask the same"),
        (StopsAtFailures, "survives failed measurements", "the search ends after"),
        (DeafToStrangers, "never asks what it was told", "was asked or told before"),
        (ClaimsToLearn, "improves on random with one objective", "dominate"),
        (ClaimsToLearn, "improves on random with two objectives", "dominate"),
        (ClaimsToLearn, "approaches feasible candidates", "violate the constraint by"),
        (IgnoresConstraints, "approaches feasible candidates", "violate the constraint by"),
        (Gathers, "improves on random with two objectives", "no front is spread"),
    ],
)
def test_a_broken_promise_is_found(
    broken: type[Searcher],
    check: str,
    message: str,
    target: Callable[[object], str],
    failures: Callable[[list[Check]], dict[str, str]],
) -> None:
    record = SearcherRecord(name="broken", summary="s", target=target(broken))
    (chosen,) = [c for c in searcher_checks(record, Host.load(entry_points=False)) if c.name == check]
    found = failures([chosen])
    assert found, f"{check!r} does not notice {broken.__name__}"
    assert message in found[check]


def test_a_searcher_that_depends_on_the_hash_seed_is_found(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, failures: Callable[[list[Check]], dict[str, str]]
) -> None:
    (tmp_path / "by_hash.py").write_text(
        "from automl.search import Random\n"
        "def Make(space, *, objectives, seed):\n"
        "    return Random(space, objectives=objectives, seed=hash('seed') % 1000)\n"
        "Make.learns = False\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    record = SearcherRecord(name="by-hash", summary="s", target="by_hash:Make")
    checks = searcher_checks(record, Host.load(entry_points=False))
    found = failures([c for c in checks if c.name == "same seed, same search in a fresh process"])
    assert "another process, with another hash seed, asks differently" in found.popitem()[1]
