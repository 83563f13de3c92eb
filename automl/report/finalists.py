"""Finalists beside themselves with shared weights: what does training alone change?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from automl.errors import RunError
from automl.report.axis import Axis
from automl.report.record import RunRecord

__all__ = ["FinalistComparison", "compare_finalists", "finalist_section_body"]


@dataclass(frozen=True)
class FinalistComparison:
    """A table of all architectures of a run that were trained alone, the best first.

    Attributes:
        heads: titles of the columns.
        rows: the cells.
        texts: how many columns at the left hold no numbers.
    """

    heads: list[str]
    rows: list[list[str]]
    texts: int

    @property
    def numbers(self) -> range:
        """Columns that hold numbers."""
        return range(self.texts, len(self.heads))


def compare_finalists(record: RunRecord) -> FinalistComparison | None:
    """Returns the comparison of a run; None where nothing was trained alone.

    Costs are the same with any weights, so only objectives that differ in some finalist have columns. Where they were trained
    with several settings, those that differ have one, too.

    Raises:
        RunError: a file of a finalist is damaged.
    """
    try:
        axes = [axis for axis in record.axes if any(_shared(f, axis) != _alone(f, axis) for f in record.finalists)]
        ranked = sorted(record.finalists, key=lambda f: ([_alone(f, axis) or 0.0 for axis in axes], str(f["id"])))
        on_front = {member.id for member in record.members}
        names = _varied(record.finalists)
        rows = [[*_texts(f, on_front, names), *(cell for axis in axes for cell in _cells(f, axis))] for f in ranked]
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{record.folder / 'finalists'}: a result.json is damaged: {error!r}.") from error
    if not rows:
        return None
    texts = ["model", "families", *(["settings"] if names else []), "on the front"]
    numbers = [f"{axis.title}, {how}" for axis in axes for how in ("shared weights", "trained alone")]
    return FinalistComparison([*texts, *numbers], rows, len(texts))


def finalist_section_body(record: RunRecord) -> str:
    """Returns the comparison as HTML; nothing where nothing was trained alone."""
    comparison = compare_finalists(record)
    if comparison is None:
        return ""
    texts = comparison.texts
    head = _html("th", comparison.heads, texts)
    rows = "".join(f"<tr>{_html('td', cells, texts)}</tr>" for cells in comparison.rows)
    return (
        '<p class="hint">The same architectures with the weights of the supernet and with weights of their own. The epoch was '
        "chosen on the validation part, which makes its error there a little too small.</p>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _html(tag: str, cells: Sequence[str], texts: int) -> str:
    classes = ["" if i < texts else ' class="number"' for i in range(len(cells))]
    return "".join(f"<{tag}{c}>{escape(cell)}</{tag}>" for c, cell in zip(classes, cells, strict=True))


def _varied(finalists: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of the settings of training that are not the same for all."""
    trainings = [finalist["training"] for finalist in finalists]
    return (
        [name for name in trainings[0] if any(t.get(name) != trainings[0][name] for t in trainings)]
        if trainings
        else []
    )


def _texts(finalist: Mapping[str, Any], on_front: set[str], names: Sequence[str]) -> list[str]:
    families = sorted({str(name) for names in finalist["families"].values() for name in names})
    values = {name: finalist["training"].get(name) for name in names}
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value is not None)
    return [
        str(finalist["id"]),
        ", ".join(families),
        *([settings] if names else []),
        "yes" if finalist["id"] in on_front else "",
    ]


def _cells(finalist: Mapping[str, Any], axis: Axis) -> list[str]:
    return [axis.format(_shared(finalist, axis)), axis.format(_alone(finalist, axis))]


def _shared(finalist: Mapping[str, Any], axis: Axis) -> float | None:
    value: float | None = finalist["shared"].get(axis.name)
    return value


def _alone(finalist: Mapping[str, Any], axis: Axis) -> float | None:
    value: float | None = finalist["measured"].get(axis.name, {}).get("value")
    return value
