"""What a running search looks like in a terminal: its front as a small scatter, the hypervolume as a line of bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from automl_cli.terminal_plots import scatter, sparkline

if TYPE_CHECKING:
    from automl.search.frontier import Frontier

__all__ = ["draw_search", "summarise_search"]

PLOT_WIDTH: Final = 48
PLOT_HEIGHT: Final = 9
CURVE_POINTS: Final = 40
LOGARITHMIC_FROM: Final = 30.0
"""Spread of positive values from which an axis is logarithmic, as costs need."""


def draw_search(frontier: Frontier, objectives: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Returns the lines of the view; none before the first feasible candidate, except a summary.

    Args:
        frontier: the front so far.
        objectives: name and unit of each of its columns.
        width: characters that a line may have.
    """
    from automl.objectives.units import format_value

    front = frontier.front
    lines = [summarise_search(frontier)]
    if not len(front):
        return lines
    if len(objectives) > 1:
        (up, up_unit), (across, across_unit) = objectives[0], objectives[1]
        ys, xs = front[:, 0].tolist(), front[:, 1].tolist()
        ends = [format_value(up, max(ys), up_unit), format_value(up, min(ys), up_unit)]
        margin = max(len(text) for text in [*ends, up])
        plot = scatter(
            list(zip(_scaled(xs), _scaled(ys), strict=True)), min(PLOT_WIDTH, width - margin - 3), PLOT_HEIGHT
        )
        labels = [ends[0], up, *[""] * (PLOT_HEIGHT - 3), ends[1]]
        lines += [f"{label:>{margin}} │{row}" for label, row in zip(labels, plot, strict=True)]
        left, right = format_value(across, min(xs), across_unit), format_value(across, max(xs), across_unit)
        wide = len(plot[0])
        lines.append(f"{'':>{margin}} └{'─' * wide}")
        lines.append(f"{'':>{margin}}  {left}{across:^{max(len(across), wide - len(left) - len(right))}}{right}")
    else:
        name, unit = objectives[0]
        lines.append(f"best {name}: {format_value(name, float(front[0, 0]), unit)}")
    curve = frontier.curve(CURVE_POINTS)
    quarter = frontier.gain(max(1, frontier.trials // 4))
    gained = "" if quarter is None else f"  the last quarter added {quarter:.1%}"
    lines.append(f"hypervolume {sparkline(curve)}{gained}")
    return lines


def summarise_search(frontier: Frontier) -> str:
    """Returns the counts in one line."""
    parts = [f"front of {len(frontier.front)}"]
    if frontier.infeasible:
        parts.append(f"{frontier.infeasible} miss a constraint")
    if frontier.stopped:
        parts.append(f"{frontier.stopped} stopped early")
    if frontier.failed:
        parts.append(f"{frontier.failed} failed")
    return ", ".join(parts)


def _scaled(values: Sequence[float]) -> list[float]:
    from math import log

    if min(values) > 0 and max(values) / min(values) >= LOGARITHMIC_FROM:
        return [log(value) for value in values]
    return list(values)
