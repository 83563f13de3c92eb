"""The table on disk, the line through whole networks, and the numbers of a check."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.errors import RunError
from automl.objectives.prediction.agreement import agreement, kendall_tau
from automl.objectives.prediction.correction import Correction, fit_correction, fit_parts
from automl.objectives.prediction.table import BlockTable, Entry


def _table(folder: Path, **changes: object) -> BlockTable:
    settings = {"space": "s", "inputs": "i", "context": {"runtime": "eager", "threads": 1}, **changes}
    return BlockTable(folder, **settings)  # type: ignore[arg-type]


def test_a_table_reads_what_it_wrote(tmp_path: Path) -> None:
    correction = Correction(0.5, 1.1, 0.02, 8, "inside")
    _table(tmp_path).add({"k": Entry(1.5, 25, "a block")}, correction, {"id": 3.0})
    again = _table(tmp_path)
    assert again.entries == {"k": Entry(1.5, 25, "a block")}
    assert again.correction == correction
    assert again.networks == {"id": 3.0}
    assert not list(tmp_path.rglob("*.partial"))


def test_whoever_writes_first_is_right(tmp_path: Path) -> None:
    one, two = _table(tmp_path), _table(tmp_path)
    one.add({"k": Entry(1.0, 3, "x")}, Correction(0, 1, 0, 1, "inside"), {"id": 1.0})
    two.add({"k": Entry(9.0, 3, "x"), "l": Entry(2.0, 3, "y")}, Correction(0, 9, 0, 1, "inside"), {"id": 9.0})
    for table in (two, _table(tmp_path)):
        assert {key: entry.ms for key, entry in table.entries.items()} == {"k": 1.0, "l": 2.0}
        assert table.correction is not None
        assert table.correction.slope == 1
        assert table.networks == {"id": 1.0}


@pytest.mark.parametrize(
    "change",
    [{"space": "t"}, {"inputs": "j"}, {"context": {"runtime": "eager", "threads": 2}}],
    ids=lambda c: next(iter(c)),
)
def test_another_space_input_or_context_is_another_file(tmp_path: Path, change: dict[str, object]) -> None:
    _table(tmp_path).add({"k": Entry(1.0, 3, "x")})
    assert _table(tmp_path, **change).path != _table(tmp_path).path
    assert not _table(tmp_path, **change).entries


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 99}', '{"format": 1, "blocks": {"k": {"ms": 1}}}'])
def test_a_damaged_table_is_one_clear_error(tmp_path: Path, content: str) -> None:
    path = _table(tmp_path).path
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(RunError, match="damaged latency table") as caught:
        _table(tmp_path)
    assert str(path) in str(caught.value)


def test_a_table_is_plain_json_with_its_context(tmp_path: Path) -> None:
    table = _table(tmp_path)
    table.add({"k": Entry(1.0, 3, "x")})
    content = json.loads(table.path.read_text())
    assert content["context"] == {"runtime": "eager", "threads": 1}
    assert content["blocks"]["k"] == {"ms": 1.0, "samples": 3, "text": "x"}


@given(
    intercept=st.floats(0.01, 5),
    slope=st.floats(0.3, 3),
    totals=st.lists(st.floats(0.5, 50), min_size=3, max_size=9, unique_by=lambda x: round(x, 2)),
)
def test_networks_on_a_line_give_that_line(intercept: float, slope: float, totals: list[float]) -> None:
    correction = fit_correction(totals, [intercept + slope * x for x in totals], "inside")
    for x in totals:
        assert correction.predict(x) == pytest.approx(intercept + slope * x, rel=1e-5)


def test_no_line_promises_negative_times_to_small_networks() -> None:
    correction = fit_correction([1.0, 2.0, 3.0], [0.1, 2.0, 4.0], "inside")
    assert correction.intercept == 0
    assert correction.slope > 0
    assert fit_correction([2.0], [3.0], "inside") == Correction(0.0, 1.5, 0.0, 1, "inside")


def test_the_spread_is_that_of_networks_left_out() -> None:
    exact = fit_correction([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], "inside")
    assert exact.margin < 1e-9
    rough = fit_correction([1.0, 2.0, 3.0, 4.0], [1.1, 1.8, 3.3, 3.6], "inside")
    assert 0.05 < rough.spread < 0.5


@pytest.mark.parametrize(("totals", "measured"), [([], []), ([1.0], [0.0]), ([0.0], [1.0])])
def test_a_correction_needs_times(totals: list[float], measured: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one network"):
        fit_correction(totals, measured, "inside")


def test_fitted_parts_are_those_that_add_up_and_follow_the_prior_elsewhere() -> None:
    rng = np.random.default_rng(0)
    true = rng.uniform(0.5, 3.0, 6)
    counts = rng.integers(0, 3, (40, 6))
    counts[:, 0] += 1
    fitted = fit_parts(counts, counts @ true, 10 * true * rng.uniform(0.7, 1.4, 6))
    np.testing.assert_allclose(fitted, true, rtol=0.05)
    alone = np.array([[1, 1], [1, 1]])  # never told apart: only the prior can
    np.testing.assert_allclose(fit_parts(alone, [3.0, 3.0], [10.0, 20.0]), [1.0, 2.0], rtol=1e-6)


def test_agreement_is_rank_error_and_bias() -> None:
    found = agreement([1.1, 2.1, 2.9, 4.4], [1.0, 2.0, 3.0, 4.0])
    assert found.tau == 1.0
    assert found.error == pytest.approx((0.05 + 0.1) / 2)
    assert found.bias == pytest.approx((0.05 + 0.1) / 2)
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1.0
    assert kendall_tau([1, 1], [1, 2]) is None
    assert kendall_tau([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(5 / np.sqrt(30))
