"""From the ledger to the reported front: measure what is noisy or predicted, measure the test part once, pick members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from automl.errors import ConfigError, RunError, did_you_mean
from automl.job.candidates.kind import Entrant, Network, measure_networks
from automl.job.evaluation import Evaluator
from automl.objectives.constraints import Constraint
from automl.objectives.objective import Objective
from automl.progress import Progress
from automl.search.hypervolume import hypervolume
from automl.search.pareto import knee, pareto_front
from automl.search.remeasured import contenders

__all__ = ["build_front", "pick_members", "pick_subnets"]


def build_front(
    entrants: Sequence[Entrant],
    evaluator: Evaluator,
    objectives: Sequence[Objective],
    *,
    limits: Sequence[Objective] = (),
    constraints: Sequence[Constraint] = (),
    progress: Progress,
) -> dict[str, Any]:
    """Returns the content of ``front.json`` that follows from all candidates, of whatever kinds.

    Where an objective is not repeatable, the best of the search are partly the luckiest. So the first fronts (as many as
    fit into ``CONTENDERS``) are measured again, all interleaved, and the reported front is the one of the second
    measurements; so are quantities that only constraints name. A contender that misses a constraint when it is measured
    again is on the front only if every one of them does. Nothing here depends on the test part, which is measured last and
    for the members only.
    """
    feasible = [e for e in entrants if e.measurement.feasible]
    if not feasible:
        failed = sum(e.measurement.values is None for e in entrants)
        reasons = "every candidate failed" if failed == len(entrants) else "no candidate met all constraints"
        progress.note(f"the front is empty: {reasons} ({len(entrants)} measured, {failed} failed)")
        return {"members": [], "picks": {}, "hypervolume": 0.0, "reference": []}
    noisy = [o.final() for o in (*objectives, *limits) if not o.repeatable]
    chosen_again = _contenders(feasible, noisy=bool(noisy))
    progress.begin("measuring the front", len(chosen_again), "model")
    networks = [entrant.build() for entrant in chosen_again]
    again = measure_networks(evaluator, networks, noisy)
    members = []
    for entrant, network, values in zip(chosen_again, networks, again, strict=True):
        if isinstance(values, Exception):
            progress.note(f"{entrant.id} failed when it was measured again: {values}")
            continue
        measured = {o.name: _recorded(entrant, o.name) for o in objectives}
        measured.update({name: value.to_json() for name, value in values.items()})
        members.append((entrant, network, measured, {n: dict(v.context) for n, v in values.items()}))
    if not members:
        progress.end()
        raise RunError("no member of the front could be measured again; see the notes above.")
    feasible_still = [_meets(measured, constraints) for _, _, measured, _ in members]
    if any(feasible_still) and not all(feasible_still):
        dropped = len(members) - sum(feasible_still)
        progress.note(
            f"{dropped} of {len(members)} contenders missed a constraint when measured again, and are left out"
        )
        members = [member for member, still in zip(members, feasible_still, strict=True) if still]
        feasible_still = [True] * len(members)
    final = np.array([[measured[o.name]["value"] for o in objectives] for _, _, measured, _ in members])
    chosen = sorted(pareto_front(final).tolist(), key=lambda i: tuple(final[i]))
    predicted = [o.name for o in (*objectives, *limits) if o.final() is not o]
    entries, context = [], {}
    for i in chosen:
        entrant, network, measured, contexts = members[i]
        entries.append(_entry(entrant, network, objectives, measured, predicted, feasible=feasible_still[i]))
        context.update(contexts)
        progress.advance()
    progress.end()
    front = final[chosen]
    reference = _reference(np.array([e.measurement.values for e in feasible]))
    picks = {"knee": entries[knee(front)]["id"]}
    picks.update({f"best:{o.name}": entries[int(np.argmin(front[:, k]))]["id"] for k, o in enumerate(objectives)})
    return {
        "members": entries,
        "picks": picks,
        "hypervolume": float(hypervolume(front, reference)),
        "reference": reference.tolist(),
        "context": context,
    }


def _entry(
    entrant: Entrant,
    network: Network,
    objectives: Sequence[Objective],
    measured: Mapping[str, Mapping[str, Any]],
    predicted: Sequence[str],
    *,
    feasible: bool,
) -> dict[str, Any]:
    """A member as ``front.json`` holds it. What was never seen before the front was measured counts as searched then."""
    measurement = entrant.measurement
    return {
        "id": entrant.id,
        "kind": entrant.kind,
        "number": measurement.number if entrant.searched else None,
        "architecture": dict(measurement.architecture),
        **({"origin": dict(entrant.origin)} if entrant.origin else {}),
        "searched": {o.name: _recorded(entrant, o.name)["value"] for o in objectives},
        "predicted": {
            name: _compared(_recorded(entrant, name), measured[name]) for name in predicted if entrant.searched
        },
        "measured": dict(measured),
        "test": network.candidate.quality("test"),
        "feasible": feasible,
    }


def _contenders(entrants: Sequence[Entrant], *, noisy: bool) -> list[Entrant]:
    by_measurement = {id(entrant.measurement): entrant for entrant in entrants}
    return [by_measurement[id(m)] for m in contenders([e.measurement for e in entrants], noisy=noisy)]


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
    found = [m for m in members if m["id"] == wanted] or [m for m in members if m["id"].startswith(wanted)]
    if len(found) == 1:
        return found
    choices = [*front["picks"], "all-front", *(m["id"] for m in members)]
    if found:
        raise ConfigError(f"--pick {expression}: several members start so: {', '.join(m['id'] for m in found)}.")
    raise ConfigError(f"--pick {expression}: no such member of the front.{did_you_mean(expression, choices)}")


def pick_subnets(front: Mapping[str, Any], expression: str) -> list[dict[str, Any]]:
    """Returns members as ``pick_members`` does, for what can be done with subnetworks of the supernet only.

    Raises:
        RunError: the front is empty.
        ConfigError: nothing is called so, or it is a ticket or a stitch.
    """
    picked = pick_members(front, expression)
    subnets = [m for m in picked if m.get("kind", "subnet") == "subnet"]
    if subnets and (expression == "all-front" or len(subnets) == len(picked)):
        return subnets
    other = next(m for m in picked if m not in subnets)
    names = ", ".join(m["id"] for m in front["members"] if m.get("kind", "subnet") == "subnet")
    raise ConfigError(
        f"--pick {expression}: {other['id']} is a {other['kind']}, and this works with subnetworks of the supernet only"
        + (f"; those of the front are {names}." if names else "; the front has none.")
    )


def _meets(measured: Mapping[str, Mapping[str, Any]], constraints: Sequence[Constraint]) -> bool:
    """Whether the values that were measured again meet their constraints; the others were met in the search."""
    return all(c.met(measured[c.objective]["value"]) for c in constraints if c.objective in measured)


def _recorded(entrant: Entrant, name: str) -> dict[str, Any]:
    recorded: dict[str, Any] = entrant.measurement.details["measured"][name]
    return recorded


def _compared(predicted: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """A predicted value with its interval, and whether that meets the interval of the measurement."""
    low, high = _interval(predicted)
    least, most = _interval(measured)
    return {**predicted, "agrees": low <= most and least <= high}


def _interval(value: Mapping[str, Any]) -> tuple[float, float]:
    """The interval of a value; an exact one is its own."""
    low, high = value["low"], value["high"]
    return (value["value"] if low is None else low, value["value"] if high is None else high)


def _reference(values: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A point a tenth of the range beyond the worst feasible value of each objective."""
    worst, best = values.max(0), values.min(0)
    return np.asarray(worst + 0.1 * np.where(worst > best, worst - best, np.abs(worst) + 1e-12))
