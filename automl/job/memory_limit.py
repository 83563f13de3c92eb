"""Refuses a training step that would not fit into memory, before it runs; a family that alone does not fit is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn

import torch

from automl.errors import ConfigError
from automl.host import Host
from automl.job.available_memory import available_memory
from automl.job.parts import JobParts, resolve_parts
from automl.job.step_memory import FamilyMemory, predict_families
from automl.job_config import JobConfig
from automl.objectives import format_value
from automl.run_folder import Run
from automl.supernet import Supernet, build_supernet, family_slots
from automl.tasks import StepScale, Task

__all__ = ["MEMORY_FILE", "MemoryFit", "fit_memory", "known_fit", "known_only", "narrowed", "run_parts"]

MEMORY_FILE: Final = "memory.json"
_SMALL: Final = 2**22
"""Bytes of the inputs of a step below which nothing is predicted unless a limit is written: measuring would take longer than
it is worth."""


@dataclass(frozen=True)
class MemoryFit:
    """Which families fit.

    Attributes:
        limit: bytes that a step may take.
        size: size of the step, such as ``{"nodes": 10, "edges": 20}``.
        families: prediction for each.
        only: for dimensions of slots that offer a family too large, the families that stay.
    """

    limit: int
    size: Mapping[str, int]
    families: Mapping[str, FamilyMemory]
    only: Mapping[str, list[str]]

    @property
    def left_out(self) -> list[str]:
        """Families that are too large, the largest first."""
        return _too_large(self.families, self.limit)

    @property
    def notes(self) -> list[str]:
        """What a user should know, one sentence each."""
        found = [
            f"{name or 'the network'} is left out: a training step with it would take {_shown(self.families[name].predicted)} "
            f"of memory, the limit is {_shown(self.limit)}"
            for name in self.left_out
        ]
        found += [
            f"the memory of a training step with {name or 'the network'} could not be predicted ({memory.failure})"
            for name, memory in self.families.items()
            if memory.predicted is None
        ]
        return found

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {
            "limit": self.limit,
            "size": dict(self.size),
            "families": {name: memory.predicted for name, memory in self.families.items()},
            "left_out": self.left_out,
            "only": dict(self.only),
        }


def fit_memory(job: JobConfig, parts: JobParts, task: Task, host: Host) -> MemoryFit | None:
    """Predicts what training steps take, and tells which families have to be left out.

    Args:
        job: the resolved job.
        parts: its parts.
        task: the data, still in main memory.
        host: where blocks are looked up.

    Returns:
        None if nothing was predicted: no limit is written and the data are small, or the system does not tell a limit.

    Raises:
        ConfigError: a slot would be left without a family, or the limit cannot be kept since the task predicts nothing.
    """
    scale = task.step_scale(job.training.batch_size)
    if scale is None:
        if job.memory_limit is not None:
            raise ConfigError(
                f"memory_limit: the memory of a training step of the task {parts.task_name!r} cannot be predicted, because its "
                "samples are no rows of its inputs and it does not say how a step grows (Task.step_scale); leave the limit out."
            )
        return None
    limit = job.memory_limit
    if limit is None:
        limit = None if scale.input_bytes < _SMALL else _free_memory(job.device)
        if limit is None:
            return None

    def build(of: Task) -> Supernet:
        return build_supernet(parts.skeleton, of, host)

    with torch.random.fork_rng(devices=()):
        torch.manual_seed(job.seed)
        supernet = build(task)
        families = predict_families(
            supernet, task, job.training, strategy=parts.strategy, scale=scale, seed=job.seed, build=build
        )
    large = _too_large(families, limit)
    only: dict[str, list[str]] = {}
    for name, slot in family_slots(supernet.network, supernet.space).items():
        staying = [family for family in slot.families if family not in large]
        if not staying:
            offered = {family: families[family] for family in slot.families}
            _refuse(job, parts, scale, offered, limit, f"no block of the slot {name!r}")
        if len(staying) < len(slot.families):
            only |= dict.fromkeys(slot.dimensions, staying)
    if "" in large:
        _refuse(job, parts, scale, families, limit, "no network")
    return MemoryFit(limit, dict(zip(scale.names, scale.whole, strict=True)), families, only)


def run_parts(run: Run, host: Host) -> JobParts:
    """Returns the parts of the job of a run, its space without the families that its memory did not allow.

    Raises:
        UserError: as ``resolve_parts``.
    """
    parts = resolve_parts(run.job, host)
    return narrowed(parts, known_only(run.folder))


def narrowed(parts: JobParts, only: Mapping[str, list[str]]) -> JobParts:
    """Returns parts whose dimensions keep only what is listed."""
    if not only:
        return parts
    kept = {**parts.skeleton.kept, **only}
    return replace(parts, skeleton=parts.skeleton.model_copy(update={"only": kept}))


def known_only(folder: Path) -> dict[str, list[str]]:
    """Returns what an earlier start of a run decided about its families; nothing if there was none."""
    if not (folder / "job.yaml").is_file() or not (folder / MEMORY_FILE).is_file():
        return {}
    only: dict[str, list[str]] = Run.open(folder).read_json(MEMORY_FILE)["only"]
    return only


def known_fit(folder: Path) -> bool:
    """Tells whether a run has gone so far that its families are fixed."""
    return any((folder / name).is_file() for name in (MEMORY_FILE, "training.ckpt", "supernet.safetensors"))


def _refuse(
    job: JobConfig, parts: JobParts, scale: StepScale, families: Mapping[str, FamilyMemory], limit: int, what: str
) -> NoReturn:
    known = {name: memory.predicted for name, memory in families.items() if memory.predicted is not None}
    least = min(known, key=known.__getitem__)
    *first, last = (f"{number:,} {name}" for name, number in zip(scale.names, scale.whole, strict=True))
    size = f"{', '.join(first)} and {last}" if first else last
    source = "memory_limit" if job.memory_limit is not None else "what is available now"
    raise ConfigError(
        f"{parts.data}: {what} of {job.space} fits into memory: a training step on {size} is predicted to take at least "
        f"{_shown(known[least])}{f' (with {least})' if least else ''}, the limit is {_shown(limit)} ({source}). Take a space "
        "with smaller widths or depths or cheaper blocks, smaller data or batches, or a larger --memory-limit."
    )


def _too_large(families: Mapping[str, FamilyMemory], limit: int) -> list[str]:
    found = {name: m.predicted for name, m in families.items() if m.predicted is not None and m.predicted > limit}
    return sorted(found, key=lambda name: -found[name])


def _free_memory(device: str) -> int | None:
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return int(torch.cuda.mem_get_info()[0])
    return available_memory()


def _shown(value: float | None) -> str:
    return format_value("size", value, "B")
