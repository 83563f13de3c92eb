"""The front as a picture, for places that show no HTML."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from automl.report.axis import Axis
from automl.report.growth import trial_front
from automl.report.record import RunRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel

__all__ = ["draw_front"]

TRIAL: Final = "#8a94a0"
FRONT: Final = "#0072b2"
MEASURED: Final = "#d55e00"
ANCHOR: Final = "#007a5a"
RASTER_FROM: Final = 2000


def draw_front(record: RunRecord) -> bytes | None:
    """Returns the front as PNG: one panel per further objective, each against the first; None without trials.

    The Agg canvas is used directly, so no display, no global figure and no back end setting is touched.
    """
    if not record.axes or not len(record.trials):
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = list(range(1, len(record.axes))) or [0]
    columns = min(len(across), 3)
    rows = -(-len(across) // columns)
    figure = Figure(figsize=(1.6 + 5.2 * columns, 4.4 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    front = trial_front(record.trials)
    for position, column in enumerate(across):
        panel = figure.add_subplot(rows, columns, position + 1)
        if len(record.axes) == 1:
            _draw_single(panel, record)
        else:
            _draw_pair(panel, record, column, front, joined=len(record.axes) == 2)
        panel.grid(color="#dde2e8", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        if position == 0:
            panel.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{_literal(record.name)}: {len(record.trials):,} architectures", x=0.01, ha="left", fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": "automl"})
    return buffer.getvalue()


def _draw_single(panel: Panel, record: RunRecord) -> None:
    axis = record.axes[0]
    values = record.trials.values[:, 0] * axis.scale
    panel.scatter(record.trials.numbers, values, s=9, c=TRIAL, alpha=0.5, linewidths=0, label="all trials")
    best = np.minimum.accumulate(np.where(record.trials.usable, values, np.inf))
    panel.plot(record.trials.numbers, best, color=FRONT, drawstyle="steps-post", label="best so far")
    panel.set_xlabel("trial number")
    panel.set_ylabel(_literal(axis.label))


def _draw_pair(panel: Panel, record: RunRecord, column: int, front: list[int], *, joined: bool) -> None:
    x, y = record.axes[column], record.axes[0]
    trials = record.trials
    many = len(trials) > RASTER_FROM
    panel.scatter(
        trials.values[:, column] * x.scale,
        trials.values[:, 0] * y.scale,
        s=3 if many else 10,
        c=TRIAL,
        alpha=0.25 if many else 0.5,
        linewidths=0,
        label="all trials",
        rasterized=many,
    )
    for name, marker in (("smallest", "v"), ("largest", "^")):
        values = record.anchors.get(name, {}).get("values") or {}
        if x.name in values and y.name in values:
            point = values[x.name] * x.scale, values[y.name] * y.scale
            panel.plot(*point, marker, mfc="none", mec=ANCHOR, mew=1.6, ms=8, ls="none", label=f"{name} subnet")
    if front:
        points = trials.values[sorted(front, key=lambda i: trials.values[i, column])]
        style: dict[str, Any] = {"drawstyle": "steps-post", "linewidth": 1.3} if joined else {"linestyle": "none"}
        label = "front as searched"
        panel.plot(
            points[:, column] * x.scale, points[:, 0] * y.scale, marker="o", ms=4.5, color=FRONT, label=label, **style
        )
    _draw_members(panel, record, x, y)
    panel.set_xlabel(_literal(x.label))
    panel.set_ylabel(_literal(y.label))
    if x.is_large and np.nanmax(trials.values[:, column]) >= 1e3:
        from matplotlib.ticker import EngFormatter

        panel.xaxis.set_major_formatter(EngFormatter(unit=x.symbol, sep=" "))
        panel.set_xlabel(_literal(x.title))


def _draw_members(panel: Panel, record: RunRecord, x: Axis, y: Axis) -> None:
    points = [(m.value(x.name), m.value(y.name)) for m in record.members if m.measured]
    known = [(a * x.scale, b * y.scale) for a, b in points if a is not None and b is not None]
    if known:
        across, up = zip(*known, strict=True)
        panel.plot(across, up, "D", ms=4.5, mfc="none", mec=MEASURED, ls="none", label="front measured again")
    knee = record.member(None)
    if knee is not None and record.picks.get("knee") == knee.id:
        a, b = knee.value(x.name), knee.value(y.name)
        if a is not None and b is not None:
            place = (a * x.scale, b * y.scale)
            panel.annotate("knee", place, xytext=(10, 12), textcoords="offset points", fontsize=9)


def _literal(text: str) -> str:
    """Keeps matplotlib from reading mathematics into a name."""
    return text.replace("$", r"\$")
