from __future__ import annotations

import numpy as np
import pytest

from automl.errors import RunError
from automl.search import Measurement
from automl.search.prediction import LEAST_MEASURED, predict
from automl.space import Architecture, SearchSpace
from automl.testing.problems import large_space, measure

SPACE = large_space()


def drawn(n: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    found: dict[Architecture, None] = {}
    while len(found) < n:
        found[SPACE.sample(rng)] = None
    return list(found)


def test_most_intervals_hold_the_true_value_and_are_narrower_than_the_spread() -> None:
    architectures = drawn(46)
    measured = measure(architectures)
    spread = np.ptp([m.values for m in measured if m.values], axis=0)
    hits, widths = [], []
    for truth in measured[40:]:
        for value, found in zip(truth.values or (), predict(SPACE, measured[:40], truth.architecture), strict=True):
            hits.append(found.low <= value <= found.high)
            widths.append(found.high - found.low)
    assert np.mean(hits) >= 0.8
    assert (np.mean(np.reshape(widths, (-1, 2)), axis=0) < spread).all()


def test_the_architecture_itself_failures_and_estimates_are_not_learnt_from() -> None:
    architectures = drawn(20)
    measured = measure(architectures)
    asked = architectures[5]
    disturbed = [
        *measured[:5],
        Measurement(architecture=asked, values=(1e6, 1e6)),
        *measured[6:15],
        Measurement(architecture=architectures[15], values=(1e6, 1e6), details={"fidelity": 0.5}),
        Measurement(architecture=architectures[16], values=None, failure="broken"),
    ]
    assert predict(SPACE, disturbed, asked) == predict(SPACE, [*measured[:5], *measured[6:15]], asked)


def test_an_objective_that_never_changes_is_predicted_as_it_is() -> None:
    measured = [Measurement(architecture=a, values=(0.25,)) for a in drawn(12)]
    (found,) = predict(SPACE, measured, SPACE.largest())
    assert (found.low, found.value, found.high) == pytest.approx((0.25, 0.25, 0.25), abs=0.02)
    assert found.score.correlation == 0.0


def test_too_few_measurements_are_an_error_that_counts_them() -> None:
    measured = measure(drawn(LEAST_MEASURED))
    with pytest.raises(RunError, match="9 other architectures were measured in full"):
        predict(SPACE, measured, measured[2].architecture)


def test_costs_are_asked_of_every_architecture_and_help() -> None:
    space = SearchSpace.build(SPACE.dimensions, conditions={})
    rng = np.random.default_rng(3)
    architectures = list(dict.fromkeys(space.sample(rng) for _ in range(26)))
    cost = {a: float(rng.uniform(1, 9)) for a in architectures}  # nothing that the choices tell
    measured = [Measurement(architecture=a, values=(np.log1p(cost[a]),)) for a in architectures]
    (known,) = predict(space, measured[1:], architectures[0], costs=lambda archs: np.array([[cost[a]] for a in archs]))
    (guessed,) = predict(space, measured[1:], architectures[0])
    assert known.score.each["size only"] > 0.9 > guessed.score.correlation
