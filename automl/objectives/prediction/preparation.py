"""Filling the table of a space: networks that cover every block, then typical networks for the correction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import numpy as np

from automl.errors import AutomlError
from automl.objectives.candidate import Candidate
from automl.objectives.prediction.cover import covering_architectures
from automl.objectives.prediction.predictor import LatencyPredictor
from automl.progress import Progress
from automl.space import Architecture, SearchSpace
from automl.supernet import Supernet
from automl.tasks.task import Task

__all__ = ["prepare_table", "typical_architectures"]

_TYPICAL: Final = 8
_FITTED: Final = 48
_MOST_COVERING: Final = 32
_GROUP: Final = 16
"""Networks that are timed interleaved: enough to tell a slow round, and not too much to lose when the command is killed."""


def typical_architectures(space: SearchSpace, count: int = _TYPICAL) -> list[Architecture]:
    """Returns the smallest, the largest and random architectures, all different, the same ones every time."""
    rng = np.random.default_rng(0)
    found = dict.fromkeys([space.smallest(), space.largest()])
    for _ in range(20 * count):
        if len(found) >= count:
            break
        found.setdefault(space.sample(rng))
    return list(found)[:count]


def prepare_table(
    predictor: LatencyPredictor, supernet: Supernet, task: Task, *, progress: Progress, complete: bool
) -> None:
    """Times blocks, then fits the correction; what the table holds by now is not timed again.

    Args:
        predictor: the predictor with its table.
        supernet: gives the networks.
        task: gives their inputs.
        progress: receives progress.
        complete: time every block of the space. Otherwise the first 32 covering networks must do, and nothing is done for a
            table that has its correction: blocks that are still missing are timed when they are first needed.

    Raises:
        AutomlError: not one network of the space could be measured; holds the first reason.
    """
    if predictor.table.correction is not None and not complete:
        return
    covering = list(islice(covering_architectures(supernet), None if complete else _MOST_COVERING))
    typical = typical_architectures(supernet.space)
    if not predictor.sees_parts:
        wanted = max(_FITTED, 2 * len(covering)) if complete else _FITTED
        extra = typical_architectures(supernet.space, len(typical) + max(0, wanted - len(covering)))[len(typical) :]
        covering = [*covering, *extra]
    # the correction has to see networks that blocks were not timed in or fitted to
    stages = [(covering, False), (typical, True)]
    progress.begin(
        "timing blocks inside whole networks" if predictor.sees_parts else "measuring networks to fit blocks to",
        sum(len(architectures) for architectures, _ in stages),
        "network",
    )
    try:
        for architectures, fit in stages:
            _run_stage(predictor, supernet, task, architectures, progress, fit=fit, thorough=complete)
    finally:
        progress.end()


def _run_stage(
    predictor: LatencyPredictor,
    supernet: Supernet,
    task: Task,
    architectures: Sequence[Architecture],
    progress: Progress,
    *,
    fit: bool,
    thorough: bool,
) -> None:
    together = fit or not predictor.sees_parts
    size = len(architectures) if together else _GROUP
    wanted = predictor.table.correction is None if fit else not predictor.sees_parts
    todo: list[Candidate] = []
    failure: Exception | None = None

    def profile() -> None:
        nonlocal failure
        failures = predictor.profile(todo, fit=fit, thorough=thorough)
        failure = failure or next(iter(failures.values()), None)
        progress.advance(len(todo), status=f"{len(predictor.table.entries)} blocks")
        todo.clear()

    for architecture in architectures:
        candidate = Candidate(architecture, supernet.extract(architecture), task)
        if wanted or predictor.missing(predictor.parts(candidate)):
            todo.append(candidate)
        else:
            progress.advance(status=f"{len(predictor.table.entries)} blocks")
        if len(todo) >= size:
            profile()
    if todo:
        profile()
    if fit and predictor.table.correction is None:
        raise AutomlError(f"the latency of no network of this space could be measured: {failure}") from failure
    if failure is not None:
        progress.note(f"some networks could not be timed: {failure}")
