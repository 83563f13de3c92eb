"""How the front grew: dominated hypervolume, or the best value, over the trials."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl.report.record import RunRecord
from automl.report.trials import Trials
from automl.search.hypervolume import hypervolume
from automl.search.pareto import pareto_front

__all__ = ["Growth", "measure_growth", "trial_front"]

CHECKPOINTS = 150
EXACT_UP_TO = 3


@dataclass(frozen=True)
class Growth:
    """A axis after some of the trials.

    Attributes:
        trials: number of trials measured so far, at each checkpoint.
        values: the axis there.
        label: axis title.
        note: what the axis means, one sentence.
    """

    trials: list[int]
    values: list[float]
    label: str
    note: str


def trial_front(trials: Trials) -> list[int]:
    """Returns the positions of the non-dominated trials among those that may enter a front, by the first objective."""
    usable = np.flatnonzero(trials.usable)
    if not len(usable):
        return []
    front = usable[pareto_front(trials.values[usable])]
    return [int(i) for i in front[np.argsort(trials.values[front, 0], kind="stable")]]


def measure_growth(record: RunRecord) -> Growth | None:
    """Returns the growth of the front at up to 150 checkpoints; None without two feasible trials.

    One objective: its best value. Two or three: the hypervolume as a share of the box between the best value of each
    objective and the reference point. More: the share of the final front that has been found, as the hypervolume is
    not exact there.
    """
    trials = record.trials
    usable = trials.usable
    objectives = trials.values.shape[1]
    if usable.sum() < 2 or not objectives:
        return None
    stops = sorted({round(s) for s in np.linspace(1, len(trials), min(CHECKPOINTS, len(trials)))})
    if objectives == 1:
        axis = record.axes[0]
        best = np.minimum.accumulate(np.where(usable, trials.values[:, 0], np.inf))
        points = [(s, float(best[s - 1])) for s in stops if np.isfinite(best[s - 1])]
        values = [value * axis.scale for _, value in points]
        return Growth([s for s, _ in points], values, axis.label, "Best value so far.")
    if objectives > EXACT_UP_TO:
        final = np.array(trial_front(trials))
        shares = [100.0 * float((final < stop).sum()) / len(final) for stop in stops]
        return Growth(stops, shares, "final front found (%)", "Share of the final front found so far.")
    reference = _reference(record, trials.values[usable])
    best = trials.values[usable].min(axis=0)
    box = float(np.prod(reference - best))
    if box <= 0:
        return None
    front = np.empty((0, objectives))
    shares, start = [], 0
    for stop in stops:
        fresh = trials.values[start:stop][usable[start:stop]]
        front, start = np.concatenate([front, fresh]), stop
        if len(front):
            front = front[pareto_front(front)]
        shares.append(100.0 * hypervolume(front, reference) / box if len(front) else 0.0)
    note = (
        "Share of the box between the best value of each objective and the reference point that the front dominates; "
        "100 % would be one model that is best at everything."
    )
    return Growth(stops, shares, "hypervolume (% of box)", note)


def _reference(record: RunRecord, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    stored = record.summary.get("reference")
    if isinstance(stored, list) and len(stored) == values.shape[1]:
        return np.array(stored, dtype=np.float64)
    return np.asarray(values.max(axis=0))
