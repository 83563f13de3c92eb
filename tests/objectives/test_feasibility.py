"""Which constraints are refuted before a search, and which are only warned about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from automl.objectives.constraints import parse_constraints
from automl.objectives.feasibility import constraint_ranges

ANCHORS: dict[str, Any] = {
    "smallest": {"architecture": {}, "values": {"params": 5_000.0, "latency": 0.2, "error": 0.2}},
    "largest": {"architecture": {}, "values": {"params": 90_000.0, "latency": 2.0, "error": 0.02}},
    "random": [{"architecture": {}, "values": {"params": 30_000.0, "latency": 0.9, "error": 0.05}}],
}


@pytest.mark.parametrize(
    ("text", "ordered", "reachable", "seen"),
    [
        ("params<=40k", False, True, True),
        ("params<5k", True, False, False),
        ("params<=5k", True, True, True),
        ("params<=4k", False, True, False),  # a cheaper block than the smallest architecture's may exist
        ("params<=1k", False, False, False),
        ("params>=100k", True, False, False),
        ("params>=100k", False, True, False),
        ("params>=1M", False, False, False),
        ("40k<=params<=80k", True, True, False),  # between anchors: nothing speaks against it
        ("latency<=0.15ms", True, True, False),  # within the noise of a measured time
        ("latency<=1us", False, False, False),
        ("error<=0.1%", True, True, False),  # quality is not monotone in size
        ("size<=1kB", True, True, False),  # not measured: nothing known
    ],
)
def test_only_what_is_certain_is_refuted(text: str, ordered: bool, reachable: bool, seen: bool) -> None:
    (found,) = constraint_ranges(parse_constraints([text]), ANCHORS, ordered=ordered)
    assert (found.reachable, found.seen) == (reachable, seen)
    assert bool(found.note) != seen


def test_the_range_covers_all_anchors_and_is_json() -> None:
    (found,) = constraint_ranges(parse_constraints(["error<3%"]), ANCHORS)
    assert (found.lowest, found.highest) == (0.02, 0.2)
    assert json.loads(json.dumps(found.to_json()))["text"] == "error<3%"


def test_anchors_may_be_plain_mappings() -> None:
    (found,) = constraint_ranges(parse_constraints(["params<=7"]), {"smallest": {"params": 8.0}}, ordered=True)
    assert not found.reachable
    assert "ranges from 8 to 8" in found.note
