"""What limited a search: sentences that follow from its history and its front, for whoever decides what to do next."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from automl.objectives.constraints import Constraint
from automl.objectives.objective import Objective
from automl.objectives.units import format_value
from automl.search.driver import History
from automl.search.frontier import Frontier
from automl.search.measurement import Measurement
from automl.space import Ordinal, SearchSpace

__all__ = ["search_notes"]

_RISING: Final = 0.01
_FEWEST_TRIALS: Final = 8
_MANY_FAILURES: Final = 0.05
_RARELY_FEASIBLE: Final = 0.1
_AT_THE_EDGE: Final = 0.75
_FEWEST_MEMBERS: Final = 4
_MOST_DIMENSIONS: Final = 5


def search_notes(
    history: History,
    front: Mapping[str, Any],
    *,
    space: SearchSpace,
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint] = (),
) -> list[dict[str, str]]:
    """Returns notes, each ``{"kind": …, "text": …}``, in the order in which they matter.

    Kinds: ``ended`` (which budget or rule ended the search), ``failures``, ``infeasible``, ``racing`` (what stopping
    candidates early has saved), ``growth`` (whether more trials would help), ``noise`` (how far values scatter, beside the
    gaps between neighbours on the front), ``edge`` (members lie at the edge of the space).

    Args:
        history: everything measured, and why it ended.
        front: what ``build_front`` returned.
        space: the space that was searched.
        objectives: what was minimised.
        constraints: bounds, in the order of the violations.
    """
    members: Sequence[Mapping[str, Any]] = [m for m in front["members"] if m.get("kind", "subnet") == "subnet"]
    notes = [("ended", f"ended after {len(history)} candidates: {history.ending.message}")]
    notes += [("failures", text) for text in _failures(history)]
    notes += [("infeasible", text) for text in _infeasible(history, constraints)]
    notes += [("racing", text) for text in _racing(history)]
    notes += [("growth", text) for text in _growth(history, space, len(objectives))]
    notes += [("noise", text) for o in objectives if not o.repeatable for text in _noise(members, o.name, o.unit)]
    notes += [("edge", text) for text in _edge(members, space)]
    return [{"kind": kind, "text": text} for kind, text in notes]


def _failures(history: Sequence[Measurement]) -> list[str]:
    failures = [m.failure or "" for m in history if m.values is None]
    if not failures or len(failures) < _MANY_FAILURES * len(history):
        return []
    reasons = Counter(_reason(text) for text in failures)
    reason, count = reasons.most_common(1)[0]
    return [f"{len(failures)} of {len(history)} candidates failed, {count} of them with: {reason}"]


def _reason(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"\d+(\.\d+)?", "#", lines[-1])[:200] if lines else "no reason given"


def _infeasible(history: Sequence[Measurement], constraints: Sequence[Constraint]) -> list[str]:
    measured = [m for m in history if m.values is not None]
    feasible = sum(not any(violation > 0 for violation in m.violations) for m in measured)
    if not constraints or not measured or feasible >= _RARELY_FEASIBLE * len(measured):
        return []
    if feasible:
        return [
            f"only {feasible} of {len(measured)} measured candidates met all constraints, so the front rests on few; looser "
            "constraints or more trials would help"
        ]
    violations = np.array([m.violations for m in measured])
    closest = violations[np.argmin(violations.sum(axis=1))]
    broken = ", ".join(
        f"'{constraint.text}' by {excess:.3g} times its bound"
        for constraint, excess in zip(constraints, closest.tolist(), strict=True)
        if excess > 0
    )
    return [f"no candidate met all constraints; the closest one missed {broken}"]


def _racing(history: Sequence[Measurement]) -> list[str]:
    measured = [m for m in history if m.values is not None]
    stopped = sum(not m.complete for m in measured)
    if not stopped:
        return []
    saved = 1 - sum(m.fidelity for m in measured) / len(measured)
    return [
        f"{stopped} of {len(measured)} candidates were stopped early, which saved {saved:.0%} of all sample evaluations; their "
        "values are estimates and not on the front"
    ]


def _growth(history: History, space: SearchSpace, objectives: int) -> list[str]:
    if len(history) >= space.size():
        return ["the whole space was measured: no other search of it can find better models"]
    if len(history) < _FEWEST_TRIALS:
        return []
    frontier = Frontier(objectives)
    for measurement in history:
        frontier.hear(measurement)
    quarter = len(history) // 4
    gained = frontier.gain(quarter)
    if gained is None:
        return []
    added = f"the last quarter of the trials ({quarter}) added {gained:.1%} to the hypervolume"
    if gained > _RISING:
        return [f"the front was still growing: {added}; more trials would help"]
    return [f"the front had all but stopped growing: {added}"]


def _noise(members: Sequence[Mapping[str, Any]], name: str, unit: str) -> list[str]:
    """How far values of an objective scatter, beside the gaps between neighbours on the front."""
    found = [(m["searched"][name], m["measured"][name]) for m in members]
    halves = [(v["high"] - v["low"]) / 2 for _, v in found if v.get("low") is not None and v.get("high") is not None]
    shifts = [abs(v["value"] - searched) for searched, v in found]
    if not found:
        return []
    shift = float(np.median(shifts))
    noise, what = (float(np.median(halves)), "half of its 95 % interval") if halves else (shift, "change when repeated")
    shown = f"{name}: the typical {what} is {format_value(name, noise, unit)}"
    if halves:
        shown += f", a second measurement differs by {format_value(name, shift, unit)} from what the search saw"
    gaps = np.diff(sorted(v["value"] for _, v in found))
    if not len(gaps):
        return [shown]
    gap = float(np.median(gaps))
    shown += f", the gap between neighbours on the front {format_value(name, gap, unit)}"
    if max(noise, shift) >= gap:
        return [f"{shown}: neighbours cannot be told apart by it; more repeats or fewer, coarser choices would help"]
    return [f"{shown}: neighbours can be told apart by it"]


def _edge(members: Sequence[Mapping[str, Any]], space: SearchSpace) -> list[str]:
    """Ordered dimensions in which nearly all members that have them take the smallest or the largest choice."""
    found: list[tuple[float, str]] = []
    for name, dimension in space.dimensions.items():
        values = [m["architecture"][name] for m in members if name in m["architecture"]]
        if (
            not isinstance(dimension, Ordinal)
            or len(dimension.choices) < 2
            or len(values) < max(_FEWEST_MEMBERS, len(members) / 2)
        ):
            continue
        for word, end in (("smallest", dimension.choices[0]), ("largest", dimension.choices[-1])):
            count = sum(value == end for value in values)
            # Of two choices both are ends, and most members take one of them by chance alone.
            if count / len(values) >= (1.0 if len(dimension.choices) == 2 else _AT_THE_EDGE):
                found.append((count / len(values), f"{name} is {end}, its {word}, in {count} of {len(values)}"))
    if not found:
        return []
    shown = [text for _, text in sorted(found, key=lambda entry: -entry[0])[:_MOST_DIMENSIONS]]
    more = f", and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return [
        f"members of the front lie at the edge of the space: {'; '.join(shown)}{more}; a wider space may hold better ones"
    ]
