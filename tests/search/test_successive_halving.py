"""Which candidates go on; the contract of searchers is checked by the conformance kit."""

from __future__ import annotations

import json

import pytest

from automl.errors import ConfigError
from automl.search import Measurement
from automl.search.successive_halving import SuccessiveHalving
from automl.space import Ordinal, SearchSpace


def space() -> SearchSpace:
    return SearchSpace.build({"depth": Ordinal(*range(1, 12)), "width": Ordinal(1, 2, 3)})


def partial(searcher: SuccessiveHalving, *values: float, samples: int = 128, violation: float = 0.0) -> Measurement:
    (architecture,) = searcher.ask(1)
    details = {"fidelity": 0.25, "rungs": [[samples, *values]]}
    return Measurement(architecture=architecture, values=values, violations=(violation,), details=details)


def test_one_in_eta_goes_on() -> None:
    searcher = SuccessiveHalving(space(), objectives=1, seed=1, eta=3, startup=0)
    searcher.tell([partial(searcher, error) for error in (0.5, 0.1, 0.4, 0.2, 0.3)])
    asked = [partial(searcher, error) for error in (0.05, 0.15, 0.25)]
    assert searcher.promote(asked) == [True, True, False]


def test_a_better_front_goes_on_and_a_lonelier_one_within_it() -> None:
    searcher = SuccessiveHalving(space(), objectives=2, seed=1, eta=2, startup=0)
    told = [(0.1, 9.0), (0.5, 5.0), (0.52, 4.9), (0.9, 1.0), (0.8, 8.0), (0.9, 9.0)]
    searcher.tell([partial(searcher, *values) for values in told])
    asked = [partial(searcher, 0.3, 7.0), partial(searcher, 0.51, 4.95), partial(searcher, 0.7, 9.0)]
    assert searcher.promote(asked) == [True, False, False]


def test_those_that_meet_the_constraints_come_first() -> None:
    searcher = SuccessiveHalving(space(), objectives=1, seed=1, eta=2, startup=0)
    searcher.tell([partial(searcher, 0.5), partial(searcher, 0.6), partial(searcher, 0.01, violation=2.0)])
    assert searcher.promote([partial(searcher, 0.02, violation=1.0), partial(searcher, 0.55)]) == [False, True]


def test_rungs_are_compared_with_their_like_and_the_answer_depends_on_nothing_else_that_is_asked() -> None:
    searcher = SuccessiveHalving(space(), objectives=1, seed=1, eta=2, startup=0)
    searcher.tell([partial(searcher, 0.1, samples=256), partial(searcher, 0.9, samples=128)])
    low, high = partial(searcher, 0.5, samples=128), partial(searcher, 0.5, samples=256)
    assert searcher.promote([low]) == [True]
    assert searcher.promote([high]) == [False]
    assert searcher.promote([low, low, low]) == [True] * 3


def test_the_first_candidates_are_measured_in_full_and_a_restored_searcher_promotes_alike() -> None:
    first = SuccessiveHalving(space(), objectives=1, seed=1, eta=2, startup=3)
    told = [partial(first, 0.1), partial(first, 0.2)]
    first.tell(told)
    worse = partial(first, 0.9)
    assert first.promote([worse]) == [True]
    last = Measurement(architecture=partial(first, 0.3).architecture, values=None, failure="broken")
    first.tell([last])
    second = SuccessiveHalving(space(), objectives=1, seed=1, eta=2, startup=3)
    second.restore(json.loads(json.dumps(first.state())), [*told, last])
    for searcher in (first, second):
        assert searcher.promote([worse]) == [False]
    assert first.ask(4) == second.ask(4)


@pytest.mark.parametrize(
    ("option", "value", "message"), [("eta", 1, "eta is 1; it must be at least 2"), ("startup", -1, "startup is -1")]
)
def test_wrong_options_are_refused(option: str, value: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SuccessiveHalving(space(), objectives=1, seed=0, **{option: value})
