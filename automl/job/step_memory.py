"""What memory a training step will take, predicted from smaller steps before anything large is allocated.

The strategy of the job runs its step on small samples of the data, with one family in every slot that offers it, while every
storage that torch makes is followed. Peaks are then extrapolated in the numbers that the task says a step grows with, such
as nodes and edges. That needs no formula of any family, so it holds for families of plugins, too. What it leaves out: scratch
memory inside an operator, and what the allocator keeps.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

from automl.elastic import Choice
from automl.objectives import LiveStorages
from automl.space import Scalar, restrict
from automl.space.walk import read_dimensions
from automl.supernet import Supernet, family_slots
from automl.supernet.families import top_choices
from automl.tasks import Batch, StepScale, Task
from automl.training.config import TrainingConfig
from automl.training.family_turns import FamilyTurns
from automl.training.strategy import StepContext, Strategy

__all__ = ["FamilyMemory", "extrapolate", "predict_families", "step_bytes", "weight_bytes"]

_BENT: Final = 1.35
"""Growth of the growth, from one doubling of a step to the next, beyond which a peak counts as quadratic; 1 is linear, 2 is
purely quadratic."""


@dataclass(frozen=True)
class FamilyMemory:
    """Predicted peak of a training step with one family.

    Attributes:
        slots: slots that offer the family.
        predicted: bytes of weights, gradients, optimiser, inputs and activations; None if a step with the family fails.
        failure: why it failed.
    """

    slots: tuple[str, ...]
    predicted: int | None
    failure: str | None = None


def predict_families(
    supernet: Supernet,
    task: Task,
    config: TrainingConfig,
    *,
    strategy: Strategy,
    scale: StepScale,
    seed: int,
    build: Callable[[Task], Supernet],
) -> dict[str, FamilyMemory]:
    """Predicts the peak of a training step for each family of a supernet.

    A family stands in every slot that offers it, in blocks of all sizes; slots without it hold their lightest family. A
    supernet without families gives one entry with an empty name.

    Args:
        supernet: an untrained supernet, which is changed by it.
        task: gives the losses.
        config: optimiser and moving average.
        strategy: what runs in a step.
        scale: size of the step, and the samples that are measured.
        seed: decides subnetworks.
        build: makes the untrained supernet of a smaller task, if samples bring some.
    """
    slots = family_slots(supernet.network, supernet.space)
    fixed = weight_bytes(supernet, config)
    offered: dict[str, list[str]] = {}
    for name, slot in slots.items():
        for family in slot.families:
            offered.setdefault(family, []).append(name)
    gc.collect()
    peaks: dict[str, list[int]] = defaultdict(list)
    failures: dict[str, str] = {}
    for smaller, samples in groupby(scale.samples, key=lambda sample: sample.task):
        own, measured = (supernet, task) if smaller is None else (build(smaller), smaller)
        batches = [sample.batch for sample in samples]
        for family in offered or {"": []}:
            if family in failures:
                continue
            try:
                with _alone(own, _only(own, family)) as part:
                    strategy.prepare(part, config)
                    peaks[family] += [step_bytes(part, measured, b, strategy=strategy, seed=seed) for b in batches]
            except Exception as error:  # whatever a family does wrong, candidates with it will tell
                lines = str(error).strip().splitlines()
                failures[family] = f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
    sizes = [sample.size for sample in scale.samples]
    return {
        family: FamilyMemory(tuple(within), None, failures[family])
        if family in failures
        else FamilyMemory(tuple(within), fixed + extrapolate(sizes, peaks[family], scale.whole))
        for family, within in (offered or {"": []}).items()
    }


def _only(supernet: Supernet, family: str) -> dict[str, list[str]]:
    """What each choice between families keeps: this one, or the lightest where it is not offered."""
    return {
        dimension: [family if family in slot.weights else slot.lightest]
        for slot in family_slots(supernet.network, supernet.space).values()
        for dimension in slot.dimensions
        if dimension in supernet.space.dimensions
    }


@contextmanager
def _alone(supernet: Supernet, families: Mapping[str, Sequence[Scalar]]) -> Iterator[Supernet]:
    """The largest architecture with certain families as a supernet of its own, without the weights of other families.

    No other architecture with them takes more, and one small network is measured much sooner than many.
    """
    supernet.activate(restrict(supernet.space, families).largest())
    network = supernet.network
    removed: list[tuple[nn.Module, str, Choice]] = []
    for path, choice in top_choices(network).items():
        parent, _, name = path.rpartition(".")
        removed.append((network.get_submodule(parent), name, choice))
    try:
        for module, name, choice in removed:
            module._modules[name] = choice.active
        values = {name: [dimension.choices[dimension.index]] for name, dimension in read_dimensions(network)[0].items()}
        yield Supernet(network, only=values)
    finally:
        for module, name, choice in removed:
            module._modules[name] = choice


def step_bytes(supernet: Supernet, task: Task, batch: Batch, *, strategy: Strategy, seed: int) -> int:
    """Returns the peak of bytes that one training step holds beside weights, gradients of weights and optimiser.

    Args:
        supernet: the network; its gradients and batch statistics are changed.
        task: gives the losses.
        batch: what the step sees; a fresh copy, so that nothing is known about it from before.
        strategy: what runs.
        seed: decides subnetworks and dropout.
    """
    inputs = tuple(tensor.clone() for tensor in batch.inputs)
    held: list[Tensor] = [*supernet.parameters(), *supernet.buffers()]
    for parameter in supernet.parameters():
        parameter.grad = torch.zeros_like(parameter)
        held.append(parameter.grad)
    tracker = LiveStorages(ignored=[tensor.untyped_storage() for tensor in held], sparse=True)
    for tensor in inputs:
        tracker.watch(tensor)
    own = batch._replace(inputs=inputs)

    def forward(*tensors: Tensor) -> Tensor:
        outputs: Tensor = supernet(*tensors)
        return outputs

    context = StepContext(
        supernet=supernet,
        task=task,
        batch=own,
        rng=np.random.default_rng(seed),
        turn=FamilyTurns(supernet).draw(np.random.default_rng(seed)),
        label_smoothing=0.0,
        progress=0.0,
        validation=lambda: [own],
        forward=forward,
        backward=lambda loss: loss.backward(),  # type: ignore[no-untyped-call]
    )
    training = supernet.training
    try:
        with torch.random.fork_rng(devices=()), torch.enable_grad(), tracker:
            torch.manual_seed(seed)
            strategy.step(context)
    finally:
        supernet.train(training)
        for parameter in supernet.parameters():
            parameter.grad = None
    return tracker.peak


def weight_bytes(module: nn.Module, config: TrainingConfig) -> int:
    """Returns the bytes that training holds for weights: themselves, gradients, optimiser state and moving average."""
    weights = sum(parameter.nbytes for parameter in module.parameters())
    buffers = sum(buffer.nbytes for buffer in module.buffers())
    state = 2 if config.optimiser != "sgd" else int(config.momentum > 0)
    return weights * (2 + state + (config.ema > 0)) + buffers


def extrapolate(sizes: Sequence[Sequence[int]], peaks: Sequence[int], whole: Sequence[int]) -> int:
    """Returns the peak at a size from the peaks at smaller ones.

    The peak is a sum of a constant and a multiple of each number of a size, none of them negative, fitted with relative
    errors. If the growth of the three largest steps bends upwards, the square of the first number enters, too.

    Args:
        sizes: numbers of each measured step, ``(steps, numbers)``, in rising order of the steps.
        peaks: bytes of each.
        whole: numbers of the step to predict.

    Example:
        >>> extrapolate([(10, 20), (20, 40), (20, 80), (40, 80)], [150, 250, 330, 450], (1000, 8000))
        22050
    """
    if len(sizes) == 1:
        return int(peaks[0])
    table = np.array(sizes, dtype=np.float64)
    bytes_ = np.array(peaks, dtype=np.float64)
    goal = np.array(whole, dtype=np.float64)
    features, target = _columns(table), _columns(goal[None])
    if _bends(table[:, 0], bytes_):
        features, target = np.c_[features, table[:, :1] ** 2], np.c_[target, goal[:1] ** 2]
    scale = features.max(axis=0)
    weights, _ = nnls(features / scale / bytes_[:, None], np.ones(len(bytes_)))
    return max(round(float((target[0] / scale) @ weights)), int(bytes_.max()))


def _columns(
    table: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    columns: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.c_[np.ones(len(table)), table]
    return columns


def _bends(
    numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]], peaks: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> bool:
    """Whether the slope between the three steps that differ in the first number rises."""
    largest: dict[float, float] = {}
    for number, peak in zip(numbers.tolist(), peaks.tolist(), strict=True):
        # of steps with equal first numbers the largest: the others have fewer of something else, which would look like a bend
        largest[number] = max(peak, largest.get(number, 0.0))
    if len(largest) < 3:
        return False
    n, p = (np.array(values[-3:]) for values in zip(*sorted(largest.items()), strict=True))
    slopes = np.diff(p) / np.diff(n)
    return bool(slopes[1] > _BENT * max(float(slopes[0]), 0.0))
