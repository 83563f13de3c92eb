"""What became of each family: how much it was trained, how often it was measured, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from automl.search.measurement import Measurement
from automl.supernet import FamilySlot

__all__ = ["family_notes", "family_table"]

_STARVED: Final = 0.25
"""Share of an equal share below which a family counts as starved."""


def family_table(
    slots: Mapping[str, FamilySlot],
    training: Sequence[Mapping[str, Any]],
    history: Sequence[Measurement],
    objectives: Sequence[str],
    members: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Returns one row for each family of each slot in which several compete.

    Args:
        slots: the slots.
        training: records of the epochs, which count blocks that ran.
        history: everything that was measured.
        objectives: what was minimised.
        members: the front, as ``build_front`` returns it.

    Returns:
        Rows with ``slot``, ``family``, ``trained`` (share of the blocks that ran in training, None if that was not counted),
        ``measured`` (share of all blocks in measured candidates), ``candidates`` (number of those with the family),
        ``failed``, ``objective`` (``error``, or the first), its ``best`` and ``mean`` over these candidates (None without
        any), and ``members`` (number of networks of the front with the family).
    """
    objective = "error" if "error" in objectives else objectives[0]
    column = list(objectives).index(objective)
    rows = []
    for name, slot in slots.items():
        ran = [record["families"][name] for record in training if name in (record.get("families") or {})]
        total = sum(sum(counts.values()) for counts in ran)
        blocks = [(m, [str(m.architecture[d]) for d in slot.dimensions if d in m.architecture]) for m in history]
        placed = sum(len(families) for m, families in blocks if m.values is not None)
        for family in slot.families:
            having = [m for m, families in blocks if family in families]
            values = [m.values[column] for m in having if m.values is not None]
            count = sum(families.count(family) for m, families in blocks if m.values is not None)
            rows.append(
                {
                    "slot": name,
                    "family": family,
                    "trained": sum(c.get(family, 0) for c in ran) / total if total else None,
                    "measured": count / placed if placed else 0.0,
                    "candidates": len(values),
                    "failed": len(having) - len(values),
                    "objective": objective,
                    "best": float(np.min(values)) if values else None,
                    "mean": float(np.mean(values)) if values else None,
                    "members": sum(_has(member, slot, family) for member in members),
                }
            )
    return rows


def family_notes(table: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Returns notes on families that were hardly trained or never measured."""
    notes = []
    for slot in dict.fromkeys(row["slot"] for row in table):
        rows = [row for row in table if row["slot"] == slot]
        starved = [
            row["family"] for row in rows if row["trained"] is not None and row["trained"] < _STARVED / len(rows)
        ]
        unseen = [row["family"] for row in rows if not row["candidates"] and not row["failed"]]
        if starved:
            text = f"families of {slot} that were trained less than a quarter of an equal share: {', '.join(starved)}"
            notes.append({"kind": "families", "text": text})
        if unseen:
            text = f"families of {slot} that no measured candidate has: {', '.join(unseen)}; more trials would try them"
            notes.append({"kind": "families", "text": text})
    return notes


def _has(member: Mapping[str, Any], slot: FamilySlot, family: str) -> bool:
    architecture = member.get("architecture") or {}
    return any(architecture.get(dimension) == family for dimension in slot.dimensions)
