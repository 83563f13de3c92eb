"""Checks of a training strategy: which weights a step reaches, that it repeats, and that it teaches."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from automl.host import Host
from automl.host import Strategy as StrategyRecord
from automl.space import Architecture
from automl.supernet import Supernet
from automl.tasks import Batch
from automl.testing.active_weights import active_weights
from automl.testing.check import Check, expect
from automl.testing.toy_task import ToyTask, toy_supernet
from automl.training import FamilyTurns, StepContext, Strategy, TrainingConfig

__all__ = ["strategy_checks"]

_CONFIG: Final = TrainingConfig(batch_size=16)
_MOMENTS: Final = (0.0, 0.3, 0.6, 0.95)
"""Shares of a training that are done: a strategy may do something else at each."""


def strategy_checks(component: StrategyRecord, host: Host) -> list[Check]:
    """Returns the checks of a strategy; it is built with its default options."""
    checks: dict[str, Callable[[Strategy], None]] = {
        "reports finite losses": _check_losses,
        "gradient reaches what it ran and nothing else": _check_gradient,
        "same generator, same step": _check_repeats,
        "keeps nothing from step to step": _check_stateless,
        "lowers the loss of the subnetworks": _check_learning,
    }
    subject = f"strategy {component.name}"
    return [
        *(Check(subject, name, partial(_with_instance, component, function)) for name, function in checks.items()),
        Check(subject, "describes itself", partial(_check_description, component)),
    ]


def _with_instance(component: StrategyRecord, function: Callable[[Strategy], None]) -> None:
    function(component.load()())


def _check_description(component: StrategyRecord) -> None:
    strategy = component.load()()
    expect(isinstance(strategy, Strategy), f"{type(strategy).__name__} must be a Strategy.")
    expect(strategy.name == component.name, f"the class is called {strategy.name!r}, its record {component.name!r}.")
    json.dumps(strategy.describe())
    expect(repr(strategy).startswith(type(strategy).__name__), f"repr must show the options, it is {strategy!r}.")


def _check_losses(strategy: Strategy) -> None:
    for progress in _MOMENTS:
        losses, _ = _step(strategy, toy_supernet(1), seed=2, progress=progress)
        expect("loss" in losses, f"a step must report 'loss', it reports {sorted(losses)}.")
        for name, value in losses.items():
            expect(isinstance(value, float) and math.isfinite(value), f"{name} is {value!r}, not a finite float.")


def _check_gradient(strategy: Strategy) -> None:
    for seed, progress in enumerate(_MOMENTS):
        supernet = toy_supernet(3)
        _prepare(strategy, supernet)
        before = {name: p.detach().clone() for name, p in supernet.named_parameters()}
        _, ran = _step(strategy, supernet, seed=seed, progress=progress)
        expect(bool(ran), "a step runs no subnetwork.")
        gradients = _gradients(supernet)
        expect(any(bool(g.any()) for g in gradients.values()), "no weight gets any gradient.")
        for name, parameter in supernet.named_parameters():
            expect(bool(torch.isfinite(gradients[name]).all()), f"the gradient of {name} is not finite.")
            expect(torch.equal(parameter, before[name]), f"{name} changes; only the optimiser may change weights.")
        for weight_set in range(1 + len(supernet.more)):
            marks = [active_weights(supernet, *subnetwork) or {} for subnetwork in ran if subnetwork[1] == weight_set]
            for name, parameter in supernet.network_of(weight_set).named_parameters():
                gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                inside = torch.stack([torch.zeros_like(gradient, dtype=torch.bool), *(m[name] for m in marks)]).any(0)
                expect(
                    not gradient[~inside].any(), f"weights of {name} outside of all subnetworks that ran get gradient."
                )


def _check_repeats(strategy: Strategy) -> None:
    supernets = [toy_supernet(4) for _ in range(2)]
    for supernet in supernets:
        _step(strategy, supernet, seed=5)
    first, second = map(_gradients, supernets)
    for name, gradient in first.items():
        expect(torch.equal(gradient, second[name]), f"equal steps give different gradients of {name}.")


def _check_stateless(strategy: Strategy) -> None:
    # A checkpoint holds the generator, not the strategy: a used one must go on as a new one would.
    used, fresh = toy_supernet(6), toy_supernet(6)
    for seed, progress in enumerate(_MOMENTS):
        _step(strategy, toy_supernet(7), seed=seed, progress=progress)
    _step(strategy, used, seed=8)
    _step(type(strategy)(), fresh, seed=8)
    for name, gradient in _gradients(fresh).items():
        expect(torch.equal(gradient, _gradients(used)[name]), f"a used strategy gives another gradient of {name}.")


def _check_learning(strategy: Strategy) -> None:
    supernet, task = toy_supernet(9), ToyTask(seed=0)
    _prepare(strategy, supernet)
    rng = np.random.default_rng(10)
    architectures = [supernet.space.smallest(), supernet.space.largest(), supernet.space.sample(rng)]
    before = [_training_loss(supernet, task, architecture) for architecture in architectures]
    optimiser = torch.optim.AdamW(supernet.parameters(), lr=0.01)
    epochs = 30 * (1 + len(supernet.more))  # so many for each weight set
    end = strategy.phase(supernet, 0.0)[1]
    own: list[float] = []
    for epoch in range(epochs):
        for batch in task.train_batches(rng, _CONFIG.batch_size):
            optimiser.zero_grad(set_to_none=True)
            losses = strategy.step(_context(supernet, task, batch, rng, [], progress=epoch / epochs))
            optimiser.step()
            if epoch / epochs < end:
                own.append(losses["loss"])
    if end < 1:
        # What each phase minimises is its own affair, such as a loss without labels: then it must lower that.
        tenth = max(1, len(own) // 10)
        first, last = sum(own[:tenth]) / tenth, sum(own[-tenth:]) / tenth
        expect(last < 0.7 * first, f"the first phase takes its own loss from {first} to {last}.")
        return
    after = [_training_loss(supernet, task, architecture) for architecture in architectures]
    expect(
        sum(after) < 0.7 * sum(before),
        f"{epochs} epochs take the losses of smallest, largest and a random subnetwork from {before} to {after}.",
    )


def _prepare(strategy: Strategy, supernet: Supernet) -> None:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(12)
        strategy.prepare(supernet, _CONFIG)


def _training_loss(supernet: Supernet, task: ToyTask, architecture: Architecture) -> float:
    supernet.activate(architecture)
    (batch,) = task.batches("train", 1000)
    with torch.no_grad():
        return float(task.loss(supernet(*batch.inputs), batch))


def _step(
    strategy: Strategy, supernet: Supernet, seed: int, progress: float = 0.5
) -> tuple[dict[str, float], list[tuple[Architecture, int]]]:
    _prepare(strategy, supernet)
    task, rng = ToyTask(seed=0), np.random.default_rng(seed)
    batch = next(task.train_batches(np.random.default_rng(11), _CONFIG.batch_size))
    ran: list[tuple[Architecture, int]] = []
    losses = strategy.step(_context(supernet, task, batch, rng, ran, progress=progress))
    return dict(losses), ran


def _context(
    supernet: Supernet,
    task: ToyTask,
    batch: Batch,
    rng: np.random.Generator,
    ran: list[tuple[Architecture, int]],
    *,
    progress: float,
) -> StepContext:
    def forward(*inputs: Tensor) -> Tensor:
        ran.append((supernet.active, supernet.active_set))
        outputs: Tensor = supernet(*inputs)
        return outputs

    def backward(loss: Tensor) -> None:
        torch.autograd.backward(loss)

    return StepContext(
        supernet=supernet.train(),
        task=task,
        batch=batch,
        rng=rng,
        turn=FamilyTurns(supernet).draw(rng),
        label_smoothing=0.1,
        progress=progress,
        validation=lambda: list(task.batches("validation", _CONFIG.batch_size)),
        forward=forward,
        backward=backward,
    )


def _gradients(supernet: Supernet) -> dict[str, Tensor]:
    return {
        name: parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        for name, parameter in supernet.named_parameters()
    }
