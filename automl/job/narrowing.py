"""From the history of a run to a narrower search space file that other jobs can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from automl.host import Host
from automl.job.memory_limit import run_parts
from automl.job.opened import open_ledger
from automl.run_folder import Run
from automl.search.reduce import Reduction, reduce_space
from automl.space import restrict
from automl.supernet import build_supernet

__all__ = ["NarrowerSpace", "narrow_space"]


@dataclass(frozen=True)
class NarrowerSpace:
    """A search space file with an ``only`` section, and how it came about.

    Attributes:
        text: content of the file.
        reduction: which choices remain, and why.
        measured: number of architectures in the history.
        size_before: exact number of architectures of the space that was searched.
        size_after: exact number of those that remain.
    """

    text: str
    reduction: Reduction
    measured: int
    size_before: int
    size_after: int


def narrow_space(run: Run, host: Host, *, threshold: float) -> NarrowerSpace:
    """Reduces the space of a run by the density of what it measured; see ``reduce_space``.

    Args:
        run: the run; its ledger is only read.
        host: where components are looked up.
        threshold: share up to which a choice counts as rare, at least 0 and below 1.

    Raises:
        UserError: the run holds too few measurements, its space or data are gone, or the threshold is out of its range.
    """
    job = run.job
    parts = run_parts(run, host)
    split = run.read_json("split.json") if run.has("split.json") else None
    task = parts.task.load(parts.data, seed=job.seed, split=split, options=job.task_options)
    supernet = build_supernet(parts.skeleton, task, host)
    with open_ledger(run, parts, supernet, read_only=True) as ledger:
        history = [m.architecture for m in ledger.read() if m.values is not None]
    reduction = reduce_space(supernet.space, history, threshold=threshold)
    narrower = restrict(supernet.space, reduction.kept)
    before, after = supernet.space.size(), narrower.size()
    content: dict[str, Any] = parts.skeleton.model_dump(mode="json", by_alias=True, exclude_unset=True)
    content["space"] = f"{parts.skeleton.space}-reduced"
    only = {**parts.skeleton.kept, **reduction.kept}
    if only:
        content["only"] = only
    counted = len(history) - reduction.noise
    head = (
        f"# {parts.skeleton.space} where the run {run.name!r} gathered: choices are left out whose share among {counted} of\n"
        f"# its {len(history)} measured architectures, in {reduction.clusters} clusters, is at most {threshold:g}. "
        f"{after:,} of {before:,} remain.\n"
    )
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120)
    return NarrowerSpace(head + body, reduction, len(history), before, after)
