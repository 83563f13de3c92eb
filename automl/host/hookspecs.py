"""The hooks of the ``automl`` plugin interface.

A plugin is a light module, named by an entry point in the group ``automl``, with functions marked ``@hookimpl``. Component
hooks return lists of component records; they are called once, when the host loads. Observer hooks return nothing; they
are called while a job runs, and an observer that raises is reported but never ends the job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pluggy

from automl.host.components import (
    Compressor,
    Exporter,
    Family,
    Objective,
    Probe,
    Runtime,
    Searcher,
    SignalKind,
    Space,
    SpaceKind,
    Strategy,
    Task,
)

if TYPE_CHECKING:
    from automl.search import Measurement

PROJECT: Final = "automl"
"""Name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""

OBSERVER_HOOKS: Final = (
    "automl_job_started",
    "automl_epoch_ended",
    "automl_candidate_measured",
    "automl_job_finished",
)


@hookspec
def automl_families() -> list[Family]:
    """Returns the blocks that this plugin offers to the slots of search spaces."""
    return []


@hookspec
def automl_signals() -> list[SignalKind]:
    """Returns kinds of payload that flow between blocks."""
    return []


@hookspec
def automl_spaces() -> list[Space]:
    """Returns shared search spaces."""
    return []


@hookspec
def automl_space_kinds() -> list[SpaceKind]:
    """Returns kinds of search space file beside the graph of slots."""
    return []


@hookspec
def automl_tasks() -> list[Task]:
    """Returns tasks: data, head, loss and metrics."""
    return []


@hookspec
def automl_strategies() -> list[Strategy]:
    """Returns ways to train a supernet."""
    return []


@hookspec
def automl_searchers() -> list[Searcher]:
    """Returns search algorithms."""
    return []


@hookspec
def automl_objectives() -> list[Objective]:
    """Returns quantities that a search can minimise."""
    return []


@hookspec
def automl_runtimes() -> list[Runtime]:
    """Returns runtimes in which latency is measured."""
    return []


@hookspec
def automl_compressors() -> list[Compressor]:
    """Returns ways to make weights zero while a network is trained."""
    return []


@hookspec
def automl_probes() -> list[Probe]:
    """Returns cheap scores of untrained networks."""
    return []


@hookspec
def automl_exporters() -> list[Exporter]:
    """Returns file formats for extracted networks."""
    return []


@hookspec
def automl_job_started(run: Any, job: Any) -> None:
    """Called once before any work of a job, also when a killed job is resumed.

    Args:
        run: the run folder.
        job: the resolved job.
    """


@hookspec
def automl_epoch_ended(run: Any, epoch: int, record: Mapping[str, Any]) -> None:
    """Called after each epoch of supernet training, when its checkpoint is written.

    Args:
        run: the run folder.
        epoch: number of the epoch, from 0.
        record: losses, seconds and validation quality of the epoch.
    """


@hookspec
def automl_candidate_measured(run: Any, measurement: Measurement) -> None:
    """Called after each candidate of the search is written to the ledger, failed ones included.

    Args:
        run: the run folder.
        measurement: the candidate with its values or its failure.
    """


@hookspec
def automl_job_finished(run: Any, front: Mapping[str, Any]) -> None:
    """Called once when the front of a job is written.

    Args:
        run: the run folder.
        front: the content of ``front.json``.
    """
