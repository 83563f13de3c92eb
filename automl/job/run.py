"""A job from its configuration to the report: train once, search, measure the front. Resumable at every moment.

Each stage leaves a file that says it is done, so running the same job again does what is still missing:

    split.json, warm_start.json → early.jsonl, training.ckpt … supernet-ticket.safetensors, supernet.safetensors → ranges.json
    → ledger.log, searcher.json → stitches/<digest>/, tickets/<id>/, finalists/<id>/ → front.json → report.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl.errors import ConstraintError, InterruptedJobError
from automl.host import Host
from automl.job.candidates.all_kinds import KINDS
from automl.job.early_search import EarlySearch
from automl.job.evaluation import Evaluator
from automl.job.finish import finish_job
from automl.job.memory_limit import MEMORY_FILE, fit_memory, known_fit, known_only, narrowed
from automl.job.opened import OpenRun, make_evaluator, open_ledger, task_and_supernet
from automl.job.parts import JobParts, resolve_parts
from automl.job.refusals import refuse_misfits
from automl.job.staged_evaluation import search_evaluation
from automl.job.supernet_ticket import save_supernet_ticket
from automl.job.training_progress import TrainingProgress
from automl.job.warm_start import read_warm_start, resolve_warm_start, write_warm_start
from automl.job_config import JobConfig
from automl.objectives.feasibility import constraint_ranges
from automl.objectives.units import format_value
from automl.progress import Progress, SilentProgress
from automl.run_folder import Run
from automl.search.driver import History, run_search
from automl.search.frontier import Frontier
from automl.search.measurement import Measurement, Outcome
from automl.search.stopping import Patience
from automl.space import Architecture, Ordinal
from automl.supernet import Supernet
from automl.tasks.task import Task
from automl.training import train

__all__ = ["run_job"]

_log = logging.getLogger(__name__)


def run_job(
    job: JobConfig,
    folder: Path,
    *,
    host: Host,
    overwrite: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Runs a job, or continues it where it stopped.

    Args:
        job: the resolved job.
        folder: the run folder; created where it does not exist.
        host: where components are looked up.
        overwrite: start anew even if the folder holds a run.
        progress: receives progress.
        stop: asked between training steps and between groups of candidates; true ends the job cleanly.

    Raises:
        UserError: something about the job, its data or the folder is wrong; nothing was written if it shows before the start.
        InterruptedJobError: ``stop`` ended the job before its front was written.
    """
    progress = progress or SilentProgress()
    parts = resolve_parts(job, host)
    task, supernet = task_and_supernet(job, parts, host)
    fit = None if known_fit(folder) and not overwrite else fit_memory(job, parts, task, host)
    if fit is not None:
        for note in fit.notes:
            progress.note(note)
    only = fit.only if fit is not None else {} if overwrite else known_only(folder)
    if only:
        parts = narrowed(parts, only)
        task, supernet = task_and_supernet(job, parts, host)
    for name in job.candidates:
        KINDS[name].check(job, host)
    parts.searcher(supernet.space)  # refuses wrong options before anything is written
    refuse_misfits(job, parts, task, supernet, host)
    initial = None if overwrite else read_warm_start(folder, job.warm_start, supernet.space)
    if initial is None:
        initial = resolve_warm_start(job.warm_start, supernet.space, runs=folder.parent, seed=job.seed)
    run = Run.start(folder, job, overwrite=overwrite)
    with run.lock():
        if fit is not None and not run.has(MEMORY_FILE):
            run.write_json(MEMORY_FILE, fit.to_json())
        if initial and not run.has("warm_start.json"):
            write_warm_start(run, initial, supernet.space)
        if run.has("split.json"):
            task, supernet = task_and_supernet(job, parts, host, split=run.read_json("split.json"))
        else:
            run.write_json(
                "space.json", parts.skeleton.model_dump(mode="json", by_alias=True)
            )  # for the report's drawings
            run.write_json("split.json", task.split)
        host.hook.automl_job_started(run=run, job=job)
        early = EarlySearch(
            run,
            parts.searcher(supernet.space),
            supernet,
            task,
            quantities=parts.quantities,
            make_evaluator=lambda: make_evaluator(run, parts, supernet, task),
            progress=progress,
        )
        _train(run, parts, supernet, task, early, host, progress, stop)
        evaluator = make_evaluator(run, parts, supernet, task)
        for quantity in parts.quantities:
            quantity.prepare(supernet, task, progress)
        _ranges(run, parts, supernet, evaluator, progress)
        first = list(dict.fromkeys([*initial, *early.first()]))
        history = _search(run, parts, supernet, evaluator, first, host, progress, stop)
        finish_job(OpenRun(run, host, parts, task, supernet, evaluator), history, progress, stop)
    return run


def _train(
    run: Run,
    parts: JobParts,
    supernet: Supernet,
    task: Task,
    early: EarlySearch,
    host: Host,
    progress: Progress,
    stop: Callable[[], bool],
) -> None:
    weights = run.path("supernet.safetensors")
    if weights.is_file():
        supernet.load(weights)
        return
    shown = TrainingProgress(progress, stop, "training the supernet")
    try:
        train(
            supernet,
            task,
            run.job.training,
            strategy=parts.strategy,
            folder=run.folder,
            seed=run.job.seed,
            device=run.job.device,
            observer=lambda epoch, record: host.hook.automl_epoch_ended(run=run, epoch=epoch, record=record),
            progress=shown,
            measure=early.measure,
            compressor=parts.compressor,
        )
    finally:
        progress.end()
    if parts.compressor is not None:
        save_supernet_ticket(run, supernet, parts.compressor)
    supernet.save(weights)


def _ranges(run: Run, parts: JobParts, supernet: Supernet, evaluator: Evaluator, progress: Progress) -> None:
    """Measures the anchors once and refuses constraints that cannot be met."""
    if not run.has("ranges.json"):
        space, rng = supernet.space, np.random.default_rng(run.job.seed)
        anchors = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(run.job.evaluation.anchors))]
        progress.begin("measuring smallest, largest and random subnetworks", len(anchors), "model")
        outcomes = evaluator(anchors)
        progress.end()
        entries = [_anchor(a, o) for a, o in zip(anchors, outcomes, strict=True)]
        named = {"smallest": entries[0], "largest": entries[1], "random": entries[2:]}
        ordered = all(isinstance(d, Ordinal) for d in space.dimensions.values())
        ranges = [r.to_json() for r in constraint_ranges(parts.constraints, named, ordered=ordered)]
        run.write_json("ranges.json", {"anchors": named, "constraints": ranges})
    content = run.read_json("ranges.json")
    impossible = []
    for entry in content["constraints"]:
        name = entry["objective"]
        unit = next(q.unit for q in parts.quantities if q.name == name)
        if entry["lowest"] is not None:
            low, high = (format_value(name, entry[k], unit) for k in ("lowest", "highest"))
            progress.note(
                f"{entry['text']}: {name} of smallest, largest and random subnetworks lies between {low} and {high}"
            )
        if entry["note"]:
            progress.note(f"{entry['text']}: {entry['note']}")
        if not entry["reachable"]:
            impossible.append(
                entry["text"] + (f" ({name} lies between {low} and {high})" if entry["lowest"] is not None else "")
            )
    if impossible:
        raise ConstraintError(
            f"no architecture of {run.job.space} can meet: {'; '.join(impossible)}. Loosen the constraint or choose "
            "another space, and --overwrite or another --name."
        )


def _anchor(architecture: Architecture, outcome: Outcome) -> dict[str, Any]:
    measured = outcome.details.get("measured", {})
    return {
        "id": architecture.id,
        "architecture": dict(architecture),
        "values": {name: value["value"] for name, value in measured.items()},
        "failure": outcome.failure,
    }


def _search(
    run: Run,
    parts: JobParts,
    supernet: Supernet,
    evaluator: Evaluator,
    initial: Sequence[Architecture],
    host: Host,
    progress: Progress,
    stop: Callable[[], bool],
) -> History:
    job, space = run.job, supernet.space
    with open_ledger(run, parts, supernet) as ledger:
        for note in ledger.notes:
            progress.note(note)
        total = min(job.trials, space.size())
        frontier = Frontier(len(parts.objectives))
        for measurement in ledger.read():
            frontier.hear(measurement)
        progress.begin("searching", total, "candidate", completed=min(total, frontier.trials))
        progress.watch(frontier, [(o.name, o.unit) for o in parts.objectives])

        def measured(measurement: Measurement) -> None:
            frontier.hear(measurement)
            host.hook.automl_candidate_measured(run=run, measurement=measurement)
            progress.advance(status=f"{frontier.failed} failed" if frontier.failed else "")

        rules = []
        if job.patience is not None:
            gain, window = job.patience.gain, job.patience.trials
            rules.append(Patience(gain, window, objectives=len(parts.objectives), after=len(initial)))
        searcher = parts.searcher(space)
        evaluate = search_evaluation(evaluator, searcher, job.evaluation, job.seed)
        if job.evaluation.racing and evaluate is evaluator:
            progress.note("racing: this searcher or task does not allow it, so every candidate is measured in full")
        try:
            history = run_search(
                space,
                searcher,
                evaluate,
                ledger,
                trials=job.trials,
                group_size=job.evaluation.group,
                initial=initial,
                state_file=run.path("searcher.json"),
                time_budget=job.time_budget,
                rules=rules,
                stop=stop,
                progress=measured,
                heard=evaluate.hear,
                failures_in_a_row=job.failures_in_a_row,
            )
        finally:
            progress.end()
    if history.ending.reason == "stopped":
        raise InterruptedJobError(f"stopped after {len(history)} of {total} candidates; the same command continues.")
    if history.ending.reason != "trials":
        progress.note(f"the search ended after {len(history)} of {total} candidates: {history.ending.message}")
    return history
