"""What the assembler learns from: answers of measured subnetworks, kept class by class, and what they cost.

    assembler/survey.safetensors     gates and logits of the surveyed subnetworks
    assembler/costs-<objective>.json their costs, where an objective was asked for

The first subnetworks are those of the ledger, which the search found worth looking at; the others are drawn. Any task made of
the classes can be scored on the kept logits, without a forward.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from automl.atomic_write import disk_errors, write_atomically
from automl.job.evaluation import Evaluator
from automl.objectives.objective import Objective
from automl.progress import Progress
from automl.run_folder import Run
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks.classification import evaluation_mode
from automl.tasks.task import Batch, Task
from automl.tickets.ticket import weights_digest

__all__ = ["FOLDER", "SURVEYED", "Survey", "choose_architectures", "survey_costs", "survey_supernet"]

FOLDER: Final = "assembler"
SURVEYED: Final = 192
_SAMPLES: Final = 1024
_GROUP: Final = 16
_LEDGER_SHARE: Final = 0.5


@final
class Survey:
    """Logits of subnetworks on the same validation samples.

    Args:
        architectures: the subnetworks.
        logits: ``(n, samples, classes)``.
        target: ``(samples,)`` int64.
    """

    def __init__(self, architectures: Sequence[Architecture], logits: Tensor, target: Tensor) -> None:
        self.architectures: Final = tuple(architectures)
        self.target: Final = target
        answers = logits.float()
        right = answers.gather(2, target[None, :, None].expand(len(answers), -1, 1))
        # Odds against the right class, class by class: ``(classes, n, samples)``.
        self._odds: Final = (answers - right).exp().permute(2, 0, 1).contiguous()

    def soft_errors(self, classes: Sequence[int]) -> Tensor:
        """Returns one minus the mean probability of the right class among some classes, for each subnetwork, ``(n,)``.

        It tells networks apart that make equally many mistakes on few samples. Samples of other classes do not count.
        """
        counted = torch.isin(self.target, torch.tensor(list(classes)))
        # 1 / Σ exp(z_c - z_right) is the softmax of the right class; the sum holds its own 1, and an infinite one gives 0.
        right = torch.stack([self._odds[number] for number in classes]).sum(0).reciprocal()
        return 1 - right[:, counted].mean(1)


def choose_architectures(
    seed: int, ledger: Sequence[Architecture], supernet: Supernet, count: int
) -> list[Architecture]:
    """Returns the subnetworks of a survey: both ends of the space, up to half from the ledger, the others drawn."""
    space = supernet.space
    chosen = dict.fromkeys([space.smallest(), space.largest()])
    chosen |= dict.fromkeys(list(dict.fromkeys(ledger))[-max(1, round(count * _LEDGER_SHARE)) :])
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(22,)))
    for _ in range(20 * count):
        if len(chosen) >= count:
            break
        chosen[space.sample(rng)] = None
    return list(chosen)[:count]


def survey_supernet(
    run: Run,
    ledger: Sequence[Architecture],
    supernet: Supernet,
    task: Task,
    evaluator: Evaluator,
    progress: Progress,
    *,
    count: int = SURVEYED,
) -> Survey:
    """Returns the survey of a run; makes what is still missing of it, each group safe on disk before the next.

    A survey of other weights than those of the run is made anew.
    """
    path = run.path(FOLDER) / "survey.safetensors"
    identity = weights_digest(supernet.network)
    logits, architectures = _read(path, identity, supernet)
    if not architectures:
        architectures = choose_architectures(run.job.seed, ledger, supernet, count)
    batches = list(task.batches("validation", 256, _SAMPLES))
    target = torch.cat([batch.target for batch in batches]).cpu()
    if len(logits) < len(architectures):
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        progress.begin("surveying the supernet", len(architectures), "network", len(logits))
        try:
            while len(logits) < len(architectures):
                group = architectures[len(logits) : len(logits) + _GROUP]
                logits = [*logits, *_answers(group, evaluator, batches)]
                _write(path, identity, architectures, logits)
                progress.advance(len(group))
        finally:
            progress.end()
    return Survey(architectures, torch.stack(logits), target)


def survey_costs(
    architectures: Sequence[Architecture], objective: Objective, run: Run, supernet: Supernet, evaluator: Evaluator
) -> Tensor:
    """Returns the costs of surveyed subnetworks, ``(n,)``; measured once for each objective and kept in the run folder.

    Raises:
        Exception: whatever the objective raises for a subnetwork.
    """
    name, identity = f"{FOLDER}/costs-{objective.name}.json", weights_digest(supernet.network)
    known: dict[str, Any] = run.read_json(name) if run.has(name) else {}
    values: dict[str, float] = known.get("values", {}) if known.get("weights") == identity else {}
    missing = [a for a in architectures if a.id not in values]
    for start in range(0, len(missing), _GROUP):
        group = missing[start : start + _GROUP]
        candidates = [evaluator.wrap(a, supernet.extract(a), lambda part: None) for a in group]
        for architecture, value in zip(group, objective.measure_group(candidates), strict=True):
            if isinstance(value, Exception):
                raise value
            values[architecture.id] = value.value
        run.write_json(name, {"weights": identity, "values": values})
    return torch.tensor([values[a.id] for a in architectures], dtype=torch.float64)


def _read(path: Path, identity: str, supernet: Supernet) -> tuple[list[Tensor], list[Architecture]]:
    """Logits and planned subnetworks of a survey that was begun; nothing if it is missing, damaged or of other weights."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("automl", "{}"))
            if header.get("weights") != identity:
                return [], []
            architectures = [supernet.space.architecture(mapping) for mapping in header["architectures"]]
            return list(file.get_tensor("logits")), architectures
    except (OSError, safetensors.SafetensorError, KeyError, ValueError):
        return [], []


def _write(path: Path, identity: str, architectures: Sequence[Architecture], logits: Sequence[Tensor]) -> None:
    header = {"weights": identity, "architectures": [dict(a) for a in architectures]}
    content = safetensors.torch.save({"logits": torch.stack(list(logits))}, metadata={"automl": json.dumps(header)})
    write_atomically(path, content)


@torch.no_grad()
def _answers(group: Sequence[Architecture], evaluator: Evaluator, batches: Sequence[Batch]) -> list[Tensor]:
    answers = []
    for prepared in evaluator.prepare(group):
        if isinstance(prepared, Exception):
            raise prepared
        with evaluation_mode(prepared.model):
            rows = [batch.counted(prepared.model(*batch.inputs)) for batch in batches]
        answers.append(torch.cat(rows).cpu().half())
    return answers
