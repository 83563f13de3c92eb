"""What ``automl front --sorted`` shows: nested subnetworks, what they keep of the full model, and one for a budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from automl_cli.console import print_json, print_result, print_table

if TYPE_CHECKING:
    from automl.job.sorted_front import SortedFront, SortedMember

__all__ = ["show_sorted"]

ROWS: Final = 25


def show_sorted(folder: Path, *, sub_models: int | None, budget: str | None, show_all: bool, as_json: bool) -> None:
    """Measures and prints the nested subnetworks of a run.

    Args:
        folder: the run folder.
        sub_models: most of them; None: as many as were trained for.
        budget: bound of params or macs; None picks none.
        show_all: print every row instead of evenly spaced ones.
        as_json: print one JSON document instead.
    """
    from automl.objectives.constraints import Constraint

    bound = None if budget is None else Constraint.parse(budget)

    from automl.host import Host
    from automl.run_folder import Run
    from automl_cli.progress_bars import show_progress

    with show_progress() as progress:
        from automl.job import measure_sorted

        front = measure_sorted(Run.open(folder), Host.load(), sub_models=sub_models, progress=progress)
    picked = None if bound is None else front.pick(bound)
    if as_json:
        print_json(_document(front, picked))
    else:
        _print(front, picked, None if show_all else ROWS)


def _document(front: SortedFront, picked: SortedMember | None) -> dict[str, Any]:
    document = {
        "strategy": front.strategy,
        "sub_models": len(front.members),
        "kept": {"mean": front.mean_kept, "least": front.least_kept, "sufficient": front.sufficient},
        "members": [_entry(member) for member in front.members],
    }
    return document if picked is None else {**document, "picked": _entry(picked)}


def _entry(member: SortedMember) -> dict[str, Any]:
    return {
        "id": member.architecture.id,
        "architecture": dict(member.architecture),
        "error": member.error,
        "params": member.params,
        "macs": member.macs,
        "kept": member.kept,
    }


def _print(front: SortedFront, picked: SortedMember | None, limit: int | None) -> None:
    from automl.job.sorted_front import SUFFICIENT
    from automl.objectives.units import format_value

    members, total = front.members, len(front.members)
    if limit is not None and total > limit:
        members = tuple(members[round(i * (total - 1) / (limit - 1))] for i in range(limit))
    rows = [
        (
            member.architecture.id,
            *(format_value(name, member.value(name)) for name in ("error", "macs", "params")),
            f"{member.kept:.1%}",
        )
        for member in members
    ]
    shown = "" if len(members) == total else f", {len(members)} of them shown (--all shows all)"
    heads = ["id", "error", "macs", "params", "kept of full model"]
    print_table(f"{total} nested subnetworks{shown}", heads, rows, right=range(1, 5))
    print_result(
        f"Kept:   {front.mean_kept:.1%} of the full model's quality on average, {front.least_kept:.1%} at least; "
        f"{front.sufficient} of {total} keep {SUFFICIENT:.0%}"
    )
    if front.strategy != "sorted":
        print_result(f"Note:   trained with {front.strategy!r}; '--strategy sorted' trains for nested subnetworks")
    if picked is not None:
        values = ", ".join(f"{name} {format_value(name, picked.value(name))}" for name in ("error", "macs", "params"))
        print_result(f"Picked: {picked.architecture.id}: {values}; keeps {picked.kept:.1%}")
        print_result(f"        {picked.architecture.to_json()}")
