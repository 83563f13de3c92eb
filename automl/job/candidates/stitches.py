"""Stitches: networks between members of the searched front, joined by linear layers and trained jointly.

    stitches/<digest>/   stitches.json  training.ckpt  training.json  supernet.safetensors  ledger.log

The digest is that of the anchors, the options and the training, so another choice of anchors is another training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, final

import torch

from automl.atomic_write import disk_errors
from automl.candidates_config import STITCH_TRAINING
from automl.errors import ConfigError, InterruptedJobError, SpaceError, TrainingError
from automl.host import Host
from automl.job.candidates.kind import CandidateKind, Entrant, Network, spread, spread_over_front
from automl.job.opened import OpenRun, make_evaluator
from automl.job.training_progress import TrainingProgress
from automl.job_config import JobConfig
from automl.options import parse_options
from automl.progress import Progress
from automl.search.driver import History, run_search
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement
from automl.space import Architecture
from automl.supernet import SpaceDefinition
from automl.training import Strategy, TrainingConfig, train

__all__ = ["Stitches"]

_FOLDER = "stitches"
_ABOUT = "stitches.json"
_WEIGHTS = "supernet.safetensors"


@final
class Stitches(CandidateKind):
    """Paths through a stitched network whose anchors are members of the searched front; the trained anchors are among them."""

    name: ClassVar[str] = "stitch"

    def check(self, job: JobConfig, host: Host) -> None:
        _training(job)
        _definition(
            host, "a-run", [{"id": str(n), "architecture": {}} for n in range(2)], job.stitches.options, "image"
        )

    def enter(
        self, opened: OpenRun, history: Sequence[Measurement], progress: Progress, stop: Callable[[], bool]
    ) -> tuple[list[Entrant], list[str]]:
        job = opened.run.job
        anchors = spread_over_front(history, job.stitches.anchors)
        if len(anchors) < 2:
            return [], [f"no stitches: they need two anchors, and the searched front has {len(anchors)}"]
        about: dict[str, Any] = {
            "anchors": [{"id": m.architecture.id, "architecture": dict(m.architecture)} for m in anchors],
            "options": job.stitches.options,
            "training": _training(job).model_dump(mode="json"),
        }
        digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=4).hexdigest()
        name = f"{_FOLDER}/{digest}"
        try:
            stitched = _stitched(opened, about)
        except (ConfigError, SpaceError) as error:
            return [], [f"no stitches: {error}"]
        with disk_errors(opened.run.path(name)):
            opened.run.path(name).mkdir(parents=True, exist_ok=True)
        opened.run.write_json(f"{name}/{_ABOUT}", about)
        try:
            _train(stitched, name, _training(job), progress, stop)
        except (ConfigError, TrainingError) as error:
            return [], [f"no stitches: {error}"]
        measured = _measure(stitched, name, progress, stop)
        origin = {"folder": name, "anchors": [m.architecture.id for m in anchors]}
        entrants = [
            Entrant(self.name, m.architecture.id, m, partial(_network, stitched, m.architecture), origin)
            for m in measured
        ]
        failed = sum(m.values is None for m in measured)
        return entrants, [f"{failed} of {len(measured)} stitches could not be measured"] if failed else []

    def rebuild(self, opened: OpenRun, member: Mapping[str, Any]) -> Network:
        name = member["origin"]["folder"]
        stitched = _stitched(opened, opened.run.read_json(f"{name}/{_ABOUT}"))
        stitched.supernet.load(opened.run.path(name) / _WEIGHTS)
        return _network(stitched, stitched.supernet.space.architecture(member["architecture"]))


def _training(job: JobConfig) -> TrainingConfig:
    """The training of the supernet with what suits trained anchors, and not longer than it."""
    suited = {**STITCH_TRAINING, "epochs": min(STITCH_TRAINING["epochs"], job.training.epochs)}
    return parse_options(
        TrainingConfig, {**job.training.model_dump(), **suited, **job.stitches.training}, "stitches.training"
    )


def _definition(
    host: Host, folder: str, anchors: Sequence[Mapping[str, Any]], options: Mapping[str, Any], signal: str
) -> SpaceDefinition:
    own = sorted(options.keys() & {"kind", "space", "input", "anchors"})
    if own:
        raise ConfigError(f"stitches.options: {own[0]!r} follows from the job; leave it out.")
    kind: type[SpaceDefinition] = host.find("space-kind", "stitched", where="candidates").load()
    content = {
        **options,
        "kind": "stitched",
        "space": _FOLDER,
        "input": signal,
        "anchors": [{"run": folder, "architecture": anchor["architecture"]} for anchor in anchors],
    }
    return parse_options(kind, content, "stitches.options")


def _stitched(opened: OpenRun, about: Mapping[str, Any]) -> OpenRun:
    """The run with the stitched network in place of its supernet, and latencies measured, not predicted."""
    run, parts, seed = opened.run, opened.parts, opened.run.job.seed
    definition = _definition(
        opened.host, str(run.folder.resolve()), about["anchors"], about["options"], parts.skeleton.input
    )
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        supernet = definition.build(opened.task, opened.host)
    measured = replace(
        parts,
        objectives=tuple(o.final() for o in parts.objectives),
        limits=tuple(o.final() for o in parts.limits),
    )
    evaluator = make_evaluator(run, measured, supernet, opened.task)
    return replace(opened, parts=measured, supernet=supernet, evaluator=evaluator)


def _train(stitched: OpenRun, name: str, config: TrainingConfig, progress: Progress, stop: Callable[[], bool]) -> None:
    run, supernet = stitched.run, stitched.supernet
    folder = run.path(name)
    if (folder / _WEIGHTS).is_file():
        supernet.load(folder / _WEIGHTS)
        return
    strategy: Strategy = stitched.host.find("strategy", "stitch-joint", where="candidates").load()()
    strategy.prepare(supernet, config)
    try:
        train(
            supernet,
            stitched.task,
            config,
            strategy=strategy,
            folder=folder,
            seed=run.job.seed,
            device=run.job.device,
            progress=TrainingProgress(progress, stop, "training the stitches"),
        )
    finally:
        progress.end()
    supernet.save(folder / _WEIGHTS)


def _measure(stitched: OpenRun, name: str, progress: Progress, stop: Callable[[], bool]) -> History:
    """Measures stitches in groups as a search does; those that a ledger holds already are not measured again."""
    job, space, parts = stitched.run.job, stitched.supernet.space, stitched.parts
    every = list(space.enumerate())
    chosen = [every[place] for place in spread(len(every), job.stitches.trials)]
    searcher = stitched.host.find("searcher", "random", where="candidates").load()
    with Ledger(
        stitched.run.path(name) / "ledger.log", space=space, objectives=[o.name for o in parts.objectives]
    ) as ledger:
        progress.begin("measuring stitches", len(chosen), "candidate", completed=len(ledger.read()))
        try:
            history = run_search(
                space,
                searcher(space, objectives=len(parts.objectives), seed=job.seed),
                stitched.evaluator,
                ledger,
                trials=len(chosen),
                group_size=job.evaluation.group,
                initial=chosen,
                stop=stop,
                progress=lambda _: progress.advance(),
                failures_in_a_row=len(chosen) + 1,
            )
        finally:
            progress.end()
    if history.ending.reason == "stopped":
        raise InterruptedJobError("stopped among the stitches; the same command continues.")
    return history


def _network(stitched: OpenRun, architecture: Architecture) -> Network:
    candidate, calibration = stitched.evaluator.candidate(architecture)
    return Network(
        candidate, stitched.task, {"calibration": calibration}, stitched.supernet.space.digest, architecture.id
    )
