from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from automl.report.axis import Axis
from automl.report.growth import measure_growth, trial_front
from automl.report.record import RunRecord, read_run
from automl.report.trials import Trials
from automl.search.hypervolume import hypervolume


@pytest.fixture
def record(make_run: Callable[..., Path]) -> RunRecord:
    return read_run(make_run(trials=0, epochs=0))


def with_values(
    record: RunRecord,
    values: list[list[float]],
    feasible: list[bool] | None = None,
    complete: list[bool] | None = None,
) -> RunRecord:
    matrix = np.array(values, dtype=np.float64)
    count = len(matrix)
    flags = (np.array(given or [True] * count) for given in (feasible, complete))
    trials = Trials([f"{i}" for i in range(count)], list(range(count)), matrix, *flags)
    return replace(record, trials=trials, axes=[Axis(f"o{i}") for i in range(matrix.shape[1])], summary={})


def test_hypervolume_of_a_known_case(record: RunRecord) -> None:
    growth = measure_growth(
        with_values(record, [[4.0, 4.0], [1.0, 3.0], [2.0, 2.0], [0.0, 9.0]], [True, True, True, False])
    )
    assert growth is not None
    # reference (4, 4), ideal (1, 2): a box of 6; (1, 3) dominates 3 of it, (2, 2) two more than that.
    assert growth.trials == [1, 2, 3, 4]
    np.testing.assert_allclose(growth.values, [0.0, 50.0, 500 / 6, 500 / 6])


@pytest.mark.parametrize("objectives", [2, 3])
def test_hypervolume_never_falls_and_ends_at_that_of_all_trials(record: RunRecord, objectives: int) -> None:
    values = np.random.default_rng(objectives).random((400, objectives))
    growth = measure_growth(with_values(record, values.tolist()))
    assert growth is not None
    assert np.all(np.diff(growth.values) >= 0)
    reference, best = values.max(axis=0), values.min(axis=0)
    assert growth.values[-1] == pytest.approx(100 * hypervolume(values, reference) / np.prod(reference - best))
    assert growth.trials[0] == 1
    assert growth.trials[-1] == 400
    assert len(growth.trials) <= 150


def test_one_objective_shows_its_best_value(record: RunRecord) -> None:
    growth = measure_growth(with_values(record, [[3.0], [1.0], [0.5], [2.0]], [True, True, False, True]))
    assert growth is not None
    assert growth.values == [3.0, 1.0, 1.0, 1.0]


def test_four_objectives_show_the_share_of_the_front(record: RunRecord) -> None:
    growth = measure_growth(with_values(record, [[2.0] * 4, [0.0, 1, 1, 1], [1, 0.0, 1, 1], [9.0] * 4]))
    assert growth is not None
    assert growth.values == [0.0, 50.0, 100.0, 100.0]


def test_front_and_growth_leave_out_estimates_of_stopped_trials(record: RunRecord) -> None:
    values = [[4.0, 4.0], [1.0, 3.0], [0.5, 0.5], [2.0, 2.0]]
    stopped = with_values(record, values, complete=[True, True, False, True])
    assert trial_front(stopped.trials) == [1, 3]
    growth, without = measure_growth(stopped), measure_growth(with_values(record, [values[i] for i in (0, 1, 3)]))
    assert growth is not None
    assert without is not None
    assert growth.values[-1] == without.values[-1]


def test_front_leaves_infeasible_trials_out(record: RunRecord) -> None:
    trials = with_values(record, [[2.0, 1.0], [0.0, 0.0], [1.0, 2.0]], [True, False, True]).trials
    assert trial_front(trials) == [2, 0]


def test_too_few_trials_show_nothing(record: RunRecord) -> None:
    assert measure_growth(record) is None
    assert measure_growth(with_values(record, [[1.0, 2.0]])) is None
