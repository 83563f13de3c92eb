"""Shares and errors of families, from counts, measurements and the front."""

from __future__ import annotations

from automl.job.families import family_notes, family_table
from automl.search.measurement import Measurement
from automl.space import Architecture
from automl.supernet import FamilySlot

_SLOT = FamilySlot(("body.blocks.0.choice", "body.blocks.1.choice"), {"conv": 5, "pool": 0, "rare": 9})


def _measured(first: str, second: str | None, error: float | None) -> Measurement:
    blocks = {"body.blocks.0.choice": first, **({} if second is None else {"body.blocks.1.choice": second})}
    failure = None if error is not None else "Traceback"
    return Measurement(
        architecture=Architecture(blocks), values=None if error is None else (7.0, error), failure=failure
    )


_HISTORY = [
    _measured("conv", "conv", 0.1),
    _measured("conv", "pool", 0.3),
    _measured("pool", None, 0.5),
    _measured("pool", "conv", None),
]
_EPOCHS = [
    {"families": {"body": {"conv": 6, "pool": 3, "rare": 0}}},
    {"families": {"body": {"conv": 4, "pool": 6, "rare": 1}}},
]
_MEMBERS = [{"architecture": {"body.blocks.0.choice": "conv", "body.blocks.1.choice": "pool"}}]


def test_shares_errors_and_failures_of_each_family_are_counted() -> None:
    conv, pool, rare = family_table({"body": _SLOT}, _EPOCHS, _HISTORY, ["macs", "error"], _MEMBERS)
    assert conv == {
        "slot": "body", "family": "conv", "trained": 0.5, "measured": 3 / 5, "candidates": 2, "failed": 1,
        "objective": "error", "best": 0.1, "mean": 0.2, "members": 1,
    }  # fmt: skip
    assert (pool["trained"], pool["measured"], pool["candidates"], pool["failed"]) == (9 / 20, 2 / 5, 2, 1)
    assert (pool["best"], pool["mean"], pool["members"]) == (0.3, 0.4, 1)
    assert (rare["trained"], rare["measured"], rare["best"], rare["mean"]) == (1 / 20, 0.0, None, None)


def test_families_that_starve_or_were_never_measured_are_named() -> None:
    table = family_table({"body": _SLOT}, _EPOCHS, _HISTORY, ["macs", "error"], _MEMBERS)
    texts = [note["text"] for note in family_notes(table)]
    assert len(texts) == 2
    assert texts[0].endswith("less than a quarter of an equal share: rare")
    assert "no measured candidate has: rare" in texts[1]


def test_a_training_that_counted_nothing_leaves_its_share_open() -> None:
    table = family_table({"body": _SLOT}, [{"epoch": 1}], _HISTORY, ["macs"], [])
    assert {row["trained"] for row in table} == {None}
    assert {row["objective"] for row in table} == {"macs"}
    assert not any("equal share" in note["text"] for note in family_notes(table))


def test_a_space_without_competing_families_has_no_table() -> None:
    assert family_table({}, _EPOCHS, _HISTORY, ["error"], _MEMBERS) == []
