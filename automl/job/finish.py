"""The end of a job: every kind of candidate enters, one front is measured and written, and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from automl.errors import AutomlError
from automl.job.candidates.all_kinds import KINDS
from automl.job.candidates.finalists import Finalists
from automl.job.candidates.kind import Entrant
from automl.job.families import family_notes, family_table
from automl.job.front import build_front
from automl.job.notes import search_notes
from automl.job.opened import OpenRun
from automl.objectives.context import cpu_name, versions
from automl.progress import Progress
from automl.report import write_report
from automl.search.driver import History
from automl.supernet import family_slots

__all__ = ["finish_job"]


def finish_job(opened: OpenRun, history: History, progress: Progress, stop: Callable[[], bool]) -> None:
    """Writes front and report of a finished search, unless that has been done.

    Args:
        opened: the run.
        history: the measurements of the search.
        progress: shown the stages.
        stop: asked between steps.

    Raises:
        InterruptedJobError: ``stop`` ended the job before its front was written; the next call goes on.
        RunError: no candidate could be measured again, or the folder cannot be written.
    """
    run, parts, task, supernet = opened.run, opened.parts, opened.task, opened.supernet
    numbers = {
        "complete": sum(m.values is not None for m in history),
        "failed": sum(m.values is None for m in history),
        "stopped": sum(m.values is not None and not m.complete for m in history),
        "evaluations": round(sum(m.fidelity for m in history if m.values is not None), 6),
    }
    if run.has("front.json") and run.read_json("front.json").get("trials", {}).items() >= numbers.items():
        return
    entrants: list[Entrant] = []
    problems: list[str] = []
    for name in run.job.candidates:
        entered, lacking = KINDS[name].enter(opened, history, progress, stop)
        entrants += entered
        problems += lacking
    for problem in problems:
        progress.note(problem)
    front = build_front(
        entrants,
        opened.evaluator,
        parts.objectives,
        limits=parts.limits,
        constraints=parts.constraints,
        progress=progress,
    )
    notes = search_notes(
        history, front, space=supernet.space, objectives=parts.objectives, constraints=parts.constraints
    )
    slots = family_slots(supernet.network, supernet.space)
    training = run.read_json("training.json") if run.has("training.json") else []
    families = family_table(slots, training, history, [o.name for o in parts.objectives], front["members"])
    content = {
        "objectives": [{"name": o.name, "unit": o.unit} for o in parts.objectives],
        **front,
        "ended": history.ending.to_json(),
        "notes": [
            *notes,
            *family_notes(families),
            *({"kind": "candidates", "text": text} for text in problems),
            *_masked(front),
        ],
        "machine": {"cpu": cpu_name(), "versions": versions("automl-supernets", "torch", "optuna", "numpy")},
        "data": task.statistics(),
        "families": families,
        "job": {
            "space": run.job.space,
            "space_digest": supernet.space.digest,
            "space_size": supernet.space.size(),
            "task": parts.task_name,
            "data": parts.data,
            "data_fingerprint": task.fingerprint,
            "seed": run.job.seed,
            "strategy": run.job.strategy,
            "searcher": run.job.searcher,
            "warm_start": run.job.warm_start,
            "candidates": run.job.candidates,
        },
        "kinds": {KINDS[name].name: sum(e.kind == KINDS[name].name for e in entrants) for name in run.job.candidates},
        "finalists": sorted(e.id for e in entrants if e.kind == Finalists.name),
        "trials": {**numbers, "seconds": round(sum(m.details.get("seconds", 0.0) for m in history), 3)},
    }
    run.write_json("front.json", content)
    opened.host.hook.automl_job_finished(run=run, front=content)
    try:
        write_report(run.folder)
    except AutomlError as error:
        progress.note(f"the report could not be written: {error}")


def _masked(front: Mapping[str, Any]) -> list[dict[str, str]]:
    masked = sum(m.get("origin", {}).get("masked", False) for m in front["members"])
    if not masked:
        return []
    text = (
        f"{masked} of {len(front['members'])} members have masked weights, which take as long as others: their costs are those "
        "of their dense bases, but for what zeros save in a file"
    )
    return [{"kind": "masked", "text": text}]
