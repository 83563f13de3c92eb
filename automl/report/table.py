"""The front as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from automl.report.axis import TEST_ERROR, Axis
from automl.report.record import Member, RunRecord

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

__all__ = ["front_table", "sorted_members"]


def sorted_members(record: RunRecord) -> list[Member]:
    """Returns the members by the final value of the second objective, which usually is the cost; cheapest first."""
    if not record.axes:
        return record.members
    key = record.axes[min(1, len(record.axes) - 1)].name

    def rank(member: Member) -> tuple[bool, float]:
        value = member.value(key)
        return value is None, value if value is not None else 0.0

    return sorted(record.members, key=rank)


def front_table(record: RunRecord, *, limit: int | None = None) -> Table:
    """Returns the front as a Rich table: one row per model, the cheapest first.

    Args:
        record: the run.
        limit: show at most so many rows, evenly spaced and always with the picked ones.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    members = _thinned(sorted_members(record), record, limit)
    left_out = len(record.members) - len(members)
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"Front of {record.name}: {len(record.members)} models",
        title_justify="left",
        caption=f"{left_out} more: automl front {record.name} --all" if left_out else None,
        caption_justify="left",
    )
    table.add_column("id", no_wrap=True)
    if record.has_kinds:
        table.add_column("kind", no_wrap=True)
    with_test = any("error" in member.test for member in members)
    if with_test:
        table.add_column("test error", justify="right", no_wrap=True)
    predicted = [axis for axis in record.axes if any(axis.name in member.predicted for member in members)]
    for axis in record.axes:
        table.add_column(axis.title, justify="right", no_wrap=True)
        if axis in predicted:
            table.add_column("predicted", justify="right", no_wrap=True)
    table.add_column("")
    for member in members:
        badges = record.badges.get(member.id, [])
        cells = [Text(member.id), *([Text(member.kind)] if record.has_kinds else [])]
        if with_test:
            cells.append(Text(TEST_ERROR.format(member.test.get("error"))))
        for axis in record.axes:
            cells.append(_cell(member, axis))
            if axis in predicted:
                cells.append(Text(axis.format(member.predicted.get(axis.name, {}).get("value")), style="dim"))
        notes = [*badges, *([] if member.feasible else ["misses a constraint"])]
        notes += [f"{name} is not as predicted" for name in member.disagreements]
        table.add_row(*cells, Text(", ".join(notes)), style="bold" if "knee" in badges else None)
    return table


def _cell(member: Member, axis: Axis) -> Text:
    from rich.text import Text

    text = Text(axis.format(member.value(axis.name)))
    interval = member.interval(axis.name)
    if interval is not None:
        text.append(f" [{axis.format_interval(*interval)}]", style="dim")
    return text


def _thinned(members: Sequence[Member], record: RunRecord, limit: int | None) -> list[Member]:
    if limit is None or len(members) <= limit:
        return list(members)
    picked = set(record.picks.values())
    step = (len(members) - 1) / max(limit - 1, 1)
    kept = {members[round(i * step)].id for i in range(limit)} | picked
    return [member for member in members if member.id in kept]
