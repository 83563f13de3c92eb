"""Checks of a task on its default data: parts, batches, loss, metrics, and what exports need to know."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from automl.errors import DataError
from automl.host import Host
from automl.host import Task as TaskRecord
from automl.tasks import Batch, Task
from automl.tasks.splits import PARTS, Part
from automl.testing.check import Check, expect

__all__ = ["task_checks"]


def task_checks(component: TaskRecord, host: Host) -> list[Check]:
    """Returns the checks of a task."""
    checks: dict[str, Callable[[Task], None]] = {
        "parts are disjoint and kept": _check_split,
        "batches are repeatable": _check_batches,
        "loss is finite and has a gradient": _check_loss,
        "metrics are honest": _check_metrics,
        "scores agree with the metrics": _check_scores,
        "exports know inputs, names and axes": _check_inputs,
    }
    subject = f"task {component.name}"
    return [
        *(Check(subject, name, partial(_with_data, component, function)) for name, function in checks.items()),
        Check(subject, "knows its data from others", partial(_check_recognition, component)),
    ]


def _with_data(component: TaskRecord, function: Callable[[Task], None]) -> None:
    kind = component.load()
    expect(issubclass(kind, Task), f"{kind.__name__} must be a Task.")
    task: Task = kind.load(component.default_data, seed=1)
    expect(task.signal == component.signal, f"the class takes {task.signal!r}, its record says {component.signal!r}.")
    function(task)


def _check_recognition(component: TaskRecord) -> None:
    kind: type[Task] = component.load()
    expect(kind.recognises(component.default_data), f"the default data {component.default_data!r} are not recognised.")
    nonsense = "no/such/data.nowhere"
    expect(not kind.recognises(nonsense), f"{nonsense!r} is recognised.")
    try:
        kind.load(nonsense, seed=0)
    except DataError as error:
        expect("nowhere" in str(error), f"the error about missing data does not name them: {error}")
        return
    raise AssertionError(f"loading {nonsense!r} must raise DataError.")


def _check_split(task: Task) -> None:
    expect(set(task.split) == {"train", "validation", "test"}, f"the parts are {sorted(task.split)}.")
    for a, b in itertools.combinations(task.split, 2):
        shared = set(task.split[a]) & set(task.split[b])
        expect(not shared, f"{a} and {b} share {len(shared)} samples.")
    expect(all(task.split.values()), "a part is empty.")
    json.dumps(task.describe())


def _check_batches(task: Task) -> None:
    for part in task.split:
        first, again = ([*task.batches(part, 16)] for _ in range(2))  # type: ignore[arg-type]
        _expect_equal(first, again, f"two passes over {part} differ.")
    orders = [[*task.train_batches(np.random.default_rng(seed), 16)] for seed in (2, 2, 3)]
    _expect_equal(orders[0], orders[1], "the same generator gives different training batches.")
    expect(task.steps_per_epoch(16) == len(orders[0]), f"steps_per_epoch says {task.steps_per_epoch(16)}.")
    if len(orders[0]) > 1 and not torch.equal(orders[0][0].target, orders[0][1].target):  # else each is the whole part
        same = all(torch.equal(a.target, b.target) for a, b in zip(orders[0], orders[2], strict=True))
        expect(not same, "another generator gives the same order of training samples.")
    chosen = [[*task.calibration_batches(4, 20, 8)] for _ in range(2)]
    _expect_equal(chosen[0], chosen[1], "the calibration samples of one seed differ.")


def _check_loss(task: Task) -> None:
    batch = next(task.train_batches(np.random.default_rng(5), 16))
    outputs = _outputs(task, batch).requires_grad_()
    for smoothing in (0.0, 0.1):
        loss = task.loss(outputs, batch, smoothing)
        expect(loss.dim() == 0 and bool(torch.isfinite(loss)), f"the loss is {loss}, not a finite scalar.")
        (gradient,) = torch.autograd.grad(loss, outputs)
        expect(bool(gradient.any()), "the loss has no gradient.")
    distilled = task.distillation_loss(outputs, _outputs(task, batch) * 2, batch)
    expect(distilled.dim() == 0 and bool(torch.isfinite(distilled)), f"the distillation loss is {distilled}.")


def _check_metrics(task: Task) -> None:
    for part in PARTS:
        metrics = task.evaluate(_constant(task, part, 0.0), part, 16)
        expect({"error", "loss"} <= set(metrics), f"evaluate gives {sorted(metrics)}, without 'error' or 'loss'.")
        expect(0 <= metrics["error"] <= 1, f"the error on {part} is {metrics['error']}, not from 0 to 1.")
    broken = task.evaluate(_constant(task, "validation", float("nan")), "validation", 16)
    expect(all(np.isnan(broken[name]) for name in ("error", "loss")), f"outputs of nan are measured as {broken}.")
    model = _constant(task, "validation", 0.0).train()
    task.evaluate(model, "validation", 16)
    expect(model.training, "evaluate leaves the model in another mode.")


class _Replay(nn.Module):
    """Gives the outputs that it was made with, one for each forward."""

    def __init__(self, outputs: list[Tensor]) -> None:
        super().__init__()
        self.left = iter(outputs)

    def forward(self, *inputs: Tensor) -> Tensor:
        return next(self.left)


def _constant(task: Task, part: Part, number: float) -> nn.Module:
    """A network that gives the same number everywhere, for one evaluation of a part in batches of 16."""
    return _Replay([torch.full((_rows(batch), task.outputs), number) for batch in task.batches(part, 16)]).train()


def _check_scores(task: Task) -> None:
    batches = [*task.batches("validation", 16)]
    outputs = [_outputs(task, batch) for batch in batches]
    metrics = task.evaluate(_Replay(outputs), "validation", 16)
    scored = task.score(zip(outputs, batches, strict=True))
    expect(scored is None or scored == metrics, f"score gives {scored}, evaluate {metrics} for the same outputs.")
    scores = [task.sample_scores(o, b) for o, b in zip(outputs, batches, strict=True)]
    for name in scores[0]:
        values = torch.cat([s[name] for s in scores])
        expect(len(values) == len(task.split["validation"]), f"{name}: {len(values)} scores of samples.")
        expect(bool(((values >= 0) & (values <= 1)).all()), f"{name}: scores of samples leave the range 0 to 1.")
        mean = float(values.double().mean())
        expect(abs(mean - metrics[name]) < 1e-6, f"{name}: the mean over the samples is {mean}, not {metrics[name]}.")


def _check_inputs(task: Task) -> None:
    inputs = task.example_inputs(3)
    expect(len(inputs) == len(task.input_names) == len(task.dynamic_axes), "inputs, names and axes differ in number.")
    batch = next(task.batches("validation", 3))
    expect(len(batch.inputs) == len(inputs), f"a batch has {len(batch.inputs)} inputs, an example {len(inputs)}.")
    for name, example, real in zip(task.input_names, inputs, batch.inputs, strict=True):
        expect(example.dtype == real.dtype, f"{name}: an example is {example.dtype}, a batch {real.dtype}.")
        expect(example.dim() == real.dim(), f"{name}: an example has {example.dim()} axes, a batch {real.dim()}.")
    larger = task.example_inputs(5)
    for name, axes, a, b in zip(task.input_names, task.dynamic_axes, inputs, larger, strict=True):
        varying = {axis for axis in range(a.dim()) if a.shape[axis] != b.shape[axis]}
        expect(varying <= set(axes), f"{name}: axes {sorted(varying)} follow the batch, declared are {sorted(axes)}.")


def _outputs(task: Task, batch: Batch) -> Tensor:
    return torch.randn(_rows(batch), task.outputs, generator=torch.Generator().manual_seed(6))


def _rows(batch: Batch) -> int:
    """Rows of a network's output: one for each target, unless the batch says which rows count."""
    return len(batch.target) if batch.index is None else len(batch.inputs[0])


def _expect_equal(first: list[Batch], second: list[Batch], message: str) -> None:
    def flat(batch: Batch) -> tuple[Any, ...]:
        return (*batch.inputs, batch.target, *(() if batch.index is None else (batch.index,)))

    expect(len(first) == len(second), message)
    for a, b in zip(first, second, strict=True):
        expect(all(map(torch.equal, flat(a), flat(b))), message)
