"""What the ledger of a run says about one more architecture, given as JSON, as a file or by id."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from automl.errors import ConfigError, RunError, SpaceError
from automl.host import Host
from automl.job.memory_limit import run_parts
from automl.job.opened import open_ledger
from automl.run_folder import Run
from automl.search.measurement import Measurement
from automl.search.prediction import PredictedValue, predict
from automl.space import Architecture, SearchSpace
from automl.supernet import build_supernet

__all__ = ["ArchitecturePrediction", "find_architecture", "predict_architecture"]

_OFFERED: Final = 3
_SHOWN: Final = 80


@dataclass(frozen=True)
class ArchitecturePrediction:
    """Predicted objectives of one architecture of a run.

    Attributes:
        architecture: what was asked about.
        predicted: by name of the objective, in the order of the job.
        units: by name of the objective, in plain text.
        learnt_from: number of measurements that the predictors have seen; never that of the architecture itself.
        measurement: the architecture's own record in the ledger, if it was measured or failed.
    """

    architecture: Architecture
    predicted: dict[str, PredictedValue]
    units: dict[str, str]
    learnt_from: int
    measurement: Measurement | None


def predict_architecture(run: Run, text: str, host: Host) -> ArchitecturePrediction:
    """Predicts the objectives of an architecture with predictors fitted to the ledger of a run.

    Args:
        run: the run; its ledger is only read, also while a search writes to it.
        text: see ``find_architecture``.
        host: where components are looked up.

    Raises:
        UserError: the architecture is none of the run's space, too little was measured, or the space or data are gone.
    """
    if run.job.storage is None and not run.has("ledger.log"):
        raise RunError(
            f"{run.folder}: the run has measured nothing yet; 'automl search' with the same options goes on."
        )
    parts = run_parts(run, host)
    split = run.read_json("split.json") if run.has("split.json") else None
    task = parts.task.load(parts.data, seed=run.job.seed, split=split, options=run.job.task_options)
    supernet = build_supernet(parts.skeleton, task, host)
    space = supernet.space
    with open_ledger(run, parts, supernet, read_only=True) as ledger:
        history = ledger.read()
    architecture = find_architecture(text, space, history)
    try:
        values = predict(space, history, architecture)
    except RunError as error:
        raise RunError(f"{run.folder}: {error} A longer search provides them.") from error
    return ArchitecturePrediction(
        architecture,
        {objective.name: value for objective, value in zip(parts.objectives, values, strict=True)},
        {objective.name: objective.unit for objective in parts.objectives},
        sum(m.complete and m.architecture != architecture for m in history),
        next((m for m in history if m.architecture == architecture), None),
    )


def find_architecture(text: str, space: SearchSpace, history: Sequence[Measurement]) -> Architecture:
    """Returns the architecture that a text names.

    Args:
        text: a JSON object of dimensions and their values, the path of a file that holds one, or the id (or its
            beginning) of a measured architecture. Values of dimensions that are inactive in it are ignored.
        space: the search space.
        history: what was measured.

    Raises:
        ConfigError: nothing is called so, or it is no architecture of the space; offers the nearest names.
    """
    content, source = text, "--arch"
    if not text.lstrip().startswith("{"):
        if not os.path.isfile(text):  # unlike Path.is_file, false for a text that is too long for a path
            return _by_id(text, history)
        source = f"--arch: {text}"
        try:
            content = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source}: cannot be read: {error}.") from error
    try:
        return space.canonical(Architecture.from_json(content))
    except SpaceError as error:
        raise ConfigError(f"{source}: {error}") from error


def _by_id(text: str, history: Sequence[Measurement]) -> Architecture:
    known = {m.architecture.id: m.architecture for m in history}
    found = [identity for identity in known if text and identity.startswith(text)]
    if len(found) == 1:
        return known[found[0]]
    if found:
        raise ConfigError(f"--arch {text}: several measured architectures start so: {', '.join(found[:_OFFERED])}.")
    near = difflib.get_close_matches(text, known, n=_OFFERED, cutoff=0.5)
    offer = f" Did you mean {' or '.join(repr(identity) for identity in near)}?" if near else ""
    raise ConfigError(
        f"--arch {text[:_SHOWN]!r} is neither a file, nor a JSON object, nor the id of one of {len(known)} measured "
        f"architectures.{offer}"
    )
