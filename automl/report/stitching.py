"""Stitched networks beside their anchors: is a stitch better than a point on the straight line between two anchors?

The line from the error of one anchor to that of the next, over multiply-accumulates, is what a user has without stitching who
answers each request with one of the two at random. All numbers are validation values of one run, the anchors' after the
joint training.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from automl.report.axis import Axis
from automl.report.record import RunRecord

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["StitchComparison", "StitchRow", "compare_stitches", "interpolate", "shown_rows", "stitch_table"]

DIMENSION: Final = "stitch"
JOINED: Final = ">"


@dataclass(frozen=True)
class StitchRow:
    """One network of a stitched space.

    Attributes:
        id: id of its architecture.
        stitch: its choice: the name of an anchor, or where two are joined.
        macs: multiply-accumulates for one sample.
        error: validation error.
        line: error on the line between the anchors at the same cost; the anchor's own for an anchor.
        front: whether it is on the front of the run.
    """

    id: str
    stitch: str
    macs: float
    error: float
    line: float
    front: bool

    @property
    def is_anchor(self) -> bool:
        """Whether it is an anchor as a whole."""
        return JOINED not in self.stitch


@dataclass(frozen=True)
class StitchComparison:
    """All measured networks of a stitched space, the cheapest first."""

    rows: list[StitchRow]

    @property
    def stitches(self) -> list[StitchRow]:
        """Those that are no anchors."""
        return [row for row in self.rows if not row.is_anchor]

    @property
    def better(self) -> int:
        """How many stitches have a lower error than the line."""
        return sum(row.error < row.line for row in self.stitches)

    @property
    def sentence(self) -> str:
        """What the comparison says, in one sentence."""
        total = len(self.stitches)
        anchors = len(self.rows) - total
        return f"{self.better} of {total} stitches have a lower error than the line between the {anchors} anchors at their cost"

    def to_json(self) -> dict[str, Any]:
        """Returns rows and counts as JSON values."""
        return {"stitches": len(self.stitches), "better": self.better, "rows": [asdict(row) for row in self.rows]}


def interpolate(anchors: Sequence[tuple[float, float]], cost: float) -> float:
    """Returns the error at a cost on the straight lines between anchors; beyond the ends, that of the end.

    Args:
        anchors: cost and error of each, from cheap to expensive.
        cost: where the line is read.

    Example:
        >>> interpolate([(10.0, 0.3), (30.0, 0.1)], 15.0)
        0.25
    """
    if cost <= anchors[0][0]:
        return anchors[0][1]
    for (low, before), (high, after) in pairwise(anchors):
        if cost <= high:
            return before + (after - before) * (cost - low) / (high - low) if high > low else after
    return anchors[-1][1]


def compare_stitches(record: RunRecord) -> StitchComparison | None:
    """Returns the comparison of a run; None unless its space is stitched and it measured error and cost of two anchors."""
    names = [axis.name for axis in record.axes]
    if not _is_stitched(record) or not {"error", "macs"} <= set(names):
        return None
    from automl.search.warm_start import read_earlier_search  # brings Optuna

    storage = record.job.get("storage")
    if storage is None and not (record.folder / "ledger.log").is_file():
        return None
    earlier = read_earlier_search(storage or record.folder, record.name if storage else None)
    error, macs = names.index("error"), names.index("macs")
    measured = [
        (m.architecture.id, str(m.architecture[DIMENSION]), m.values[macs], m.values[error])
        for m in earlier.measurements
        if m.values is not None and m.complete
    ]
    anchors = sorted((cost, value) for _, stitch, cost, value in measured if JOINED not in stitch)
    if len(anchors) < 2:
        return None
    on_front = {member.id for member in record.members}
    rows = [
        StitchRow(
            id, stitch, cost, value, value if JOINED not in stitch else interpolate(anchors, cost), id in on_front
        )
        for id, stitch, cost, value in sorted(measured, key=lambda entry: (entry[2], entry[3]))
    ]
    return StitchComparison(rows)


def _is_stitched(record: RunRecord) -> bool:
    path = record.folder / "space.json"
    try:
        space = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except json.JSONDecodeError:
        return False
    return isinstance(space, dict) and space.get("kind") == "stitched"


def stitch_table(comparison: StitchComparison, axes: Sequence[Axis]) -> Table:
    """Returns anchors and members of the front as a Rich table, beside the line between the anchors."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title="Stitches beside their anchors", title_justify="left")
    for head in ("id", "stitch"):
        table.add_column(head, no_wrap=True)
    for head in ("multiply-accumulates", "validation error", "line between anchors", "difference"):
        table.add_column(head, justify="right", no_wrap=True)
    for cells in shown_rows(comparison, axes):
        table.add_row(*cells)
    return table


def shown_rows(comparison: StitchComparison, axes: Sequence[Axis]) -> list[list[str]]:
    """Returns the cells of the rows worth showing: anchors, and stitches on the front."""
    by_name = {axis.name: axis for axis in axes}
    error, macs = by_name["error"], by_name["macs"]
    return [
        [
            row.id,
            f"anchor {row.stitch}" if row.is_anchor else row.stitch,
            macs.format(row.macs),
            error.format(row.error),
            "" if row.is_anchor else error.format(row.line),
            "" if row.is_anchor else f"{100 * (row.error - row.line):+.2f} points",
        ]
        for row in comparison.rows
        if row.is_anchor or row.front
    ]
