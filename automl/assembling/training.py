"""Training of the assembler: random tasks and budgets, expected error plus a hinge on the cost, straight-through gates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from automl.assembling.assembler import Assembler
from automl.assembling.gates import DimensionGates
from automl.assembling.surrogate import GateRegression
from automl.assembling.survey import Survey
from automl.atomic_write import write_atomically
from automl.progress import Progress, SilentProgress

__all__ = ["STEPS", "TrainedAssembler", "cost_shares", "task_code", "train_assembler"]

STEPS: Final = 600
_TASKS_PER_STEP: Final = 16
_KNOWN_TASKS: Final = 256
_RATE: Final = 2e-3
_LAMBDA: Final = 10.0
_CHECKPOINT: Final = 200


@final
class TrainedAssembler:
    """An assembler that was trained for one objective.

    Args:
        network: the assembler.
        gates: the gates that its logits belong to.
    """

    def __init__(self, network: Assembler, gates: DimensionGates) -> None:
        self.network: Final = network
        self.gates: Final = gates

    @torch.no_grad()
    def logits(self, code: Tensor, shares: Tensor) -> Tensor:
        """Returns the logits for some tasks, each with all of several budgets.

        Shape:
            code: ``(*, classes)``; shares: ``(n,)``. Returns ``(*, n, gates)``.
        """
        tasks = code.unsqueeze(-2).expand(*code.shape[:-1], len(shares), -1)
        found: Tensor = self.network(tasks.flatten(0, -2), shares.repeat(tasks[..., 0].numel() // len(shares)))
        return found.reshape(*tasks.shape[:-1], -1)


def train_assembler(
    survey: Survey,
    costs: Tensor,
    gates: DimensionGates,
    *,
    classes: int,
    path: Path,
    identity: str,
    seed: int,
    steps: int = STEPS,
    progress: Progress | None = None,
) -> TrainedAssembler:
    """Returns the trained assembler of a survey; reads it where it was trained before, goes on where training stopped.

    For each step, tasks are random subsets of the classes and shares ``s ~ U(0, 1)``, where cost shares are logarithmic: 0 is
    the cheapest surveyed subnetwork, 1 the most expensive. With gates ``g = G(t, s)``,

    ``loss = z_t(g) + λ max(0, share(g) - s)²``

    where ``z_t`` is the error of the task in standard deviations over the survey.

    Args:
        survey: answers of subnetworks.
        costs: their costs, ``(n,)``.
        gates: the gates of the space.
        classes: number of classes.
        path: file of the assembler.
        identity: digest of everything that the result depends on; a file of another one is not used.
        seed: decides initial weights, tasks and shares.
        steps: updates.
        progress: shown the updates; nothing where none are left to do.

    Source:
        Xu et al. 2023, NN-Factory, arXiv:2308.15003. Deviation: the modules keep the weights of the trained supernet, and the
        loss of a task is predicted from measured subnetworks, since choices of a space have no gradient of their own.
    """
    shares = cost_shares(costs)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = Assembler(classes, gates.count)
    optimiser = torch.optim.Adam(network.parameters(), lr=_RATE)
    done = _restore(path, identity, network, optimiser)
    if done < steps:
        progress = progress or SilentProgress()
        progress.begin(f"training the assembler for {path.stem}", steps, "step", done)
        try:
            for step in _updates(survey, shares, gates, network, optimiser, classes, seed, range(done, steps)):
                progress.advance()
                if (step + 1) % _CHECKPOINT == 0 or step + 1 == steps:
                    _store(path, identity, network, optimiser, step + 1)
        finally:
            progress.end()
    return TrainedAssembler(network.eval(), gates)


def _updates(
    survey: Survey,
    shares: Tensor,
    gates: DimensionGates,
    network: Assembler,
    optimiser: torch.optim.Optimizer,
    classes: int,
    seed: int,
    steps: range,
) -> Iterator[int]:
    """Updates the assembler, and yields the number of each update when it is done."""
    codes, errors = _tasks(survey, classes, seed)
    seen = gates.encode(survey.architectures)
    cost = GateRegression(gates, seen, shares)
    cost_weights = cost.weights([shares])
    quality = GateRegression(gates, seen, errors.mean(0))
    coefficients, means = quality.weights(errors)
    for step in steps:
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(22, step)))
        chosen = torch.from_numpy(rng.integers(len(codes), size=_TASKS_PER_STEP))
        budget = torch.from_numpy(rng.random(_TASKS_PER_STEP)).float()
        opened = gates.open(network(codes[chosen], budget))
        expected = quality.predict(opened, (coefficients[chosen], means[chosen]))
        over = (cost.predict(opened, cost_weights) - budget).clamp(min=0)
        loss = (expected + _LAMBDA * over.square()).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield step


def cost_shares(costs: Tensor) -> Tensor:
    """Returns costs on a logarithmic scale, from 0 for the smallest to 1 for the largest, ``(n,)``."""
    logarithms = costs.double().clamp(min=1e-12).log()
    return (logarithms - logarithms.min()) / (logarithms.max() - logarithms.min()).clamp(min=1e-12)


def task_code(classes: Sequence[int], count: int) -> Tensor:
    """Returns the multi-hot code of a task, ``(count,)``."""
    code = torch.zeros(count)
    code[list(classes)] = 1
    return code


def _tasks(survey: Survey, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Codes of random subsets of at least two classes, all of them among these, and their standardised errors."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(22, 0, 0)))
    sizes = rng.integers(2, classes + 1, size=_KNOWN_TASKS)
    subsets = {tuple(range(classes)), *(tuple(sorted(rng.permutation(classes)[:size].tolist())) for size in sizes)}
    ordered = sorted(subsets)
    errors = torch.stack([survey.soft_errors(subset) for subset in ordered]).double()
    spread = errors.std(1, keepdim=True).clamp(min=1e-9)
    codes = torch.stack([task_code(list(subset), classes) for subset in ordered])
    return codes, (errors - errors.mean(1, keepdim=True)) / spread


def _store(path: Path, identity: str, network: nn.Module, optimiser: torch.optim.Optimizer, done: int) -> None:
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"adam.{number}.{name}": tensor for name, tensor in moments.items()}
    header = {"automl": json.dumps({"identity": identity, "done": done})}
    write_atomically(path, safetensors.torch.save(tensors, metadata=header))


def _restore(path: Path, identity: str, network: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Takes over a stored state; returns how many updates it has seen, 0 where it is missing, damaged or of another survey."""
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("automl", "{}"))
            if header.get("identity") != identity:
                return 0
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError, ValueError):
        return 0
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("adam."):
            _, number, moment = name.split(".")
            state.setdefault(int(number), {})[moment] = tensor
    network.load_state_dict({n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")})
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    return int(header["done"])
