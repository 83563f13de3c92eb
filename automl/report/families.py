"""The families of a space side by side: for the report page and for the terminal."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from automl.report.axis import Axis
from automl.report.record import RunRecord

__all__ = ["TEXT_COLUMNS", "family_rows", "family_section_body"]

_TITLES: Final = ("slot", "family", "trained", "measured", "candidates", "failed", "best", "mean", "on the front")
TEXT_COLUMNS: Final = 2


def family_rows(record: RunRecord) -> tuple[list[str], list[list[str]]]:
    """Returns headings and cells of all families, the best of each slot first; no rows where none compete."""
    entries: list[dict[str, Any]] = list(record.summary.get("families") or [])
    if not entries:
        return [], []
    name = str(entries[0]["objective"])
    axis = next((axis for axis in record.axes if axis.name == name), Axis(name))
    slots = list(dict.fromkeys(entry["slot"] for entry in entries))
    entries.sort(key=lambda e: (slots.index(e["slot"]), e["best"] is None, e["best"] or 0.0))
    titles = [f"{title} {name}" if title in ("best", "mean") else title for title in _TITLES]
    return titles, [
        [
            str(entry["slot"]),
            str(entry["family"]),
            _share(entry["trained"]),
            _share(entry["measured"]),
            f"{entry['candidates']:,}",
            f"{entry['failed']:,}",
            axis.format(entry["best"]),
            axis.format(entry["mean"]),
            f"{entry['members']:,}",
        ]
        for entry in entries
    ]


def family_section_body(record: RunRecord) -> str:
    """Returns the table as HTML; nothing where no families compete."""
    titles, rows = family_rows(record)
    if not rows:
        return ""
    head = "".join(f"<th{_number(i)}>{escape(title)}</th>" for i, title in enumerate(titles))
    body = "".join(
        "<tr>" + "".join(f"<td{_number(i)}>{escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return (
        '<p class="hint">Families that compete for a slot. Trained: share of the blocks that ran in training; equal if none '
        "starves. Measured: share of the blocks in measured candidates, which a search moves to the best.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _number(column: int) -> str:
    return "" if column < TEXT_COLUMNS else ' class="number"'


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
