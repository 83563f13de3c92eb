"""From the ledger to the reported front: measure again what is noisy, measure the test part once, pick members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from automl.errors import ConfigError, RunError, did_you_mean
from automl.job.evaluation import Evaluator
from automl.objectives.objective import Objective
from automl.progress import Progress
from automl.search.hypervolume import hypervolume
from automl.search.measurement import Measurement
from automl.search.pareto import knee, nondominated_sort, pareto_front

__all__ = ["build_front", "pick_members"]

CONTENDERS: Final = 64
"""At most so many candidates are measured again for the reported front."""


def build_front(
    measurements: Sequence[Measurement],
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    *,
    progress: Progress,
) -> dict[str, Any]:
    """Returns the content of ``front.json`` that follows from a finished search.

    Where an objective is not repeatable, the best of the search are partly the luckiest. So the first fronts (as many as
    fit into ``CONTENDERS``) are measured again, all interleaved, and the reported front is the one of the second
    measurements. Nothing here depends on the test part, which is measured last and for the members only.
    """
    feasible = [m for m in measurements if m.feasible]
    if not feasible:
        failed = sum(m.values is None for m in measurements)
        reasons = "every candidate failed" if failed == len(measurements) else "no candidate met all constraints"
        progress.note(f"the front is empty: {reasons} ({len(measurements)} measured, {failed} failed)")
        return {"members": [], "picks": {}, "hypervolume": 0.0, "reference": []}
    noisy = [o for o in objectives if not o.repeatable]
    contenders = _contenders(feasible, with_second_front=bool(noisy))
    progress.begin("measuring the front", len(contenders), "model")
    candidates = [evaluator.candidate(m.architecture)[0] for m in contenders]
    again = evaluator.measure(candidates, noisy) if noisy else [{} for _ in contenders]
    members = []
    for measurement, candidate, values in zip(contenders, candidates, again, strict=True):
        if isinstance(values, Exception):
            progress.note(f"{measurement.architecture.id} failed when it was measured again: {values}")
            continue
        measured = {o.name: _recorded(measurement, o.name) for o in objectives}
        measured.update({name: value.to_json() for name, value in values.items()})
        members.append((measurement, candidate, measured, {n: dict(v.context) for n, v in values.items()}))
    if not members:
        progress.end()
        raise RunError("no member of the front could be measured again; see the notes above.")
    final = np.array([[measured[o.name]["value"] for o in objectives] for _, _, measured, _ in members])
    chosen = sorted(pareto_front(final).tolist(), key=lambda i: tuple(final[i]))
    entries, context = [], {}
    for i in chosen:
        measurement, candidate, measured, contexts = members[i]
        entries.append(
            {
                "id": measurement.architecture.id,
                "kind": "subnet",
                "number": measurement.number,
                "architecture": dict(measurement.architecture),
                "searched": {o.name: _recorded(measurement, o.name)["value"] for o in objectives},
                "measured": measured,
                "test": candidate.quality("test"),
                "feasible": True,
            }
        )
        context.update(contexts)
        progress.advance()
    progress.end()
    front = final[chosen]
    reference = _reference(np.array([m.values for m in feasible]))
    picks = {"knee": entries[knee(front)]["id"]}
    picks.update({f"best:{o.name}": entries[int(np.argmin(front[:, k]))]["id"] for k, o in enumerate(objectives)})
    return {
        "members": entries,
        "picks": picks,
        "hypervolume": float(hypervolume(front, reference)),
        "reference": reference.tolist(),
        "context": context,
    }


def pick_members(front: Mapping[str, Any], expression: str) -> list[dict[str, Any]]:
    """Returns the members that ``knee``, ``best:<objective>``, ``all-front`` or an id (or its beginning) names.

    Raises:
        RunError: the front is empty.
        ConfigError: nothing is called so; offers the nearest names.
    """
    members: list[dict[str, Any]] = front["members"]
    if not members:
        raise RunError(
            "the front of this run is empty, there is nothing to pick; loosen its constraints and search again."
        )
    if expression == "all-front":
        return members
    wanted = front["picks"].get(expression, expression)
    found = [m for m in members if m["id"].startswith(wanted)]
    if len(found) == 1:
        return found
    choices = [*front["picks"], "all-front", *(m["id"] for m in members)]
    if found:
        raise ConfigError(f"--pick {expression}: several members start so: {', '.join(m['id'] for m in found)}.")
    raise ConfigError(f"--pick {expression}: no such member of the front.{did_you_mean(expression, choices)}")


def _contenders(feasible: Sequence[Measurement], *, with_second_front: bool) -> list[Measurement]:
    values = np.array([m.values for m in feasible])
    ranks = nondominated_sort(values)
    limit = 1 if with_second_front else 0
    order = [i for i in np.argsort(ranks, kind="stable").tolist() if ranks[i] <= limit]
    front_size = int((ranks == 0).sum())
    return [feasible[i] for i in order[: max(front_size, CONTENDERS)]]


def _recorded(measurement: Measurement, name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = measurement.details["measured"][name]
    return recorded


def _reference(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A point a tenth of the range beyond the worst feasible value of each objective."""
    worst, best = values.max(0), values.min(0)
    return np.asarray(worst + 0.1 * np.where(worst > best, worst - best, np.abs(worst) + 1e-12))
