"""Checks of signals, strategies, objectives, runtimes, exporters and tasks can fail: each is shown a broken component."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from automl.export import SafetensorsExporter
from automl.host import Component, Exporter, Host, Objective, Runtime, SignalKind, Strategy, Task
from automl.objectives import Candidate, Trace, Value
from automl.objectives import Objective as ObjectiveContract
from automl.objectives.runtimes import Eager
from automl.objectives.runtimes import Runtime as RuntimeContract
from automl.supernet import ImageFormat, PayloadFormat
from automl.tasks import Batch
from automl.testing import Check, checks_for
from automl.testing.toy_task import ToyTask
from automl.training import SinglePath, StepContext
from automl.training import Strategy as StrategyContract

Target = Callable[[object], str]
Failures = Callable[[list[Check]], dict[str, str]]


class SwapsAxes(ImageFormat):
    channel_axis = 2


class IgnoresTheGenerator(ImageFormat):
    def example(self, batch: int, width: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.zeros(batch, width, 4, 3),)


class WritesInPlace(ImageFormat):
    def with_features(self, payload: Tensor, features: Tensor) -> Tensor:
        payload.zero_()
        return features


class AddsTheFirstTwice(ImageFormat):
    def add(self, payloads: Sequence[Any]) -> Any:
        return payloads[0] * 2


class StrategyBase(StrategyContract):
    name: ClassVar[str] = "broken"

    def step(self, context: StepContext) -> Mapping[str, float]:
        return SinglePath().step(context)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class NoLoss(StrategyBase):
    def step(self, context: StepContext) -> Mapping[str, float]:
        super().step(context)
        return {}


class UpdatesWeights(StrategyBase):
    def step(self, context: StepContext) -> Mapping[str, float]:
        with torch.no_grad():
            next(context.supernet.parameters()).add_(0.1)
        return super().step(context)


class PullsOnAllWeights(StrategyBase):
    def step(self, context: StepContext) -> Mapping[str, float]:
        losses = super().step(context)
        context.backward(torch.stack([p.square().sum() for p in context.supernet.parameters()]).sum())
        return losses


_counter = itertools.count()


class Forgetful(StrategyBase):
    def step(self, context: StepContext) -> Mapping[str, float]:
        loss = context.loss(context.forward(context.smallest if next(_counter) % 2 else context.largest))
        context.backward(loss)
        return {"loss": loss.item()}


class Counts(StrategyBase):
    def __init__(self) -> None:
        self.steps = 0

    def step(self, context: StepContext) -> Mapping[str, float]:
        self.steps += 1
        loss = context.loss(context.forward(context.smallest)) * self.steps
        context.backward(loss)
        return {"loss": loss.item()}


class ClimbsUp(StrategyBase):
    def step(self, context: StepContext) -> Mapping[str, float]:
        loss = context.loss(context.forward(context.sample()))
        context.backward(-loss)
        return {"loss": loss.item()}


class ObjectiveBase(ObjectiveContract):
    name: ClassVar[str] = "broken"

    def measure(self, candidate: Candidate) -> Value:
        return Value(float(sum(p.numel() for p in candidate.model.parameters())))


class WrongUnit(ObjectiveBase):
    unit: ClassVar[str] = "ms"


class IntervalElsewhere(ObjectiveBase):
    def measure(self, candidate: Candidate) -> Value:
        return Value(1.0, 2.0, 3.0)


class LeavesTrainingMode(ObjectiveBase):
    def measure(self, candidate: Candidate) -> Value:
        candidate.model.train()
        return super().measure(candidate)


class FirstFailureEndsAll(ObjectiveBase):
    def measure_group(self, candidates: Sequence[Candidate]) -> list[Value | Exception]:
        results: list[Value | Exception] = []
        for candidate in candidates:
            try:
                candidate.model(*candidate.example_inputs(1))
                results.append(self.measure(candidate))
            except RuntimeError as error:
                return [error for _ in candidates]
        return results


class Fluctuates(ObjectiveBase):
    def measure(self, candidate: Candidate) -> Value:
        return Value(random.random())


class Shrinks(ObjectiveBase):
    def measure(self, candidate: Candidate) -> Value:
        return Value(1 / super().measure(candidate).value)


class TimesNothing(RuntimeContract):
    name: ClassVar[str] = "broken"

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        return lambda: None


class TrainsTheModel(RuntimeContract):
    name: ClassVar[str] = "broken"

    def prepare(
        self, model: nn.Module, inputs: Sequence[Tensor], *, threads: int, trace: Callable[[], Trace]
    ) -> Callable[[], None]:
        session = Eager().prepare(model, inputs, threads=threads, trace=trace)

        def run() -> None:
            model.eval()
            session()
            model.train()

        return run


class ExporterBase(SafetensorsExporter):  # type: ignore[misc]  # final for the library, not for the tests that break it
    name: ClassVar[str] = "broken"


class WrongSuffix(ExporterBase):
    suffix: ClassVar[str] = ".weights"


class WritesZeros(ExporterBase):
    def write(self, model: nn.Module, trace: Trace, path: Path, *, metadata: Mapping[str, str]) -> int:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        return super().write(model, trace, path, metadata=metadata)


class ExpectsNothing(ExporterBase):
    def expected(self, model: nn.Module, cases: Sequence[Sequence[Tensor]]) -> dict[str, Tensor]:
        return {"constant": torch.ones(1)}


class TaskBase(ToyTask):  # type: ignore[misc]  # final for its users, not for the tests that break it
    @classmethod
    def load(cls, data: str = "toy", *, seed: int, split: Any = None, options: Any = None) -> Any:
        from automl.errors import DataError

        if data != "toy":
            raise DataError(f"{data}: there are toy data only.")
        return cls(seed, split)


class RecognisesAll(TaskBase):
    @classmethod
    def recognises(cls, data: str) -> bool:
        return True


class SharesSamples(TaskBase):
    def __init__(self, seed: int, split: Any = None) -> None:
        super().__init__(seed, split)
        self.split["test"] = self.split["train"][:5]


class NeverShuffles(TaskBase):
    def train_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Batch]:
        return super().train_batches(np.random.default_rng(0), batch_size)


class FlattersNan(TaskBase):
    def evaluate(self, *arguments: Any, **options: Any) -> dict[str, float]:
        return {name: np.nan_to_num(value) for name, value in super().evaluate(*arguments, **options).items()}


class FixesItsBatch(TaskBase):
    @property
    def dynamic_axes(self) -> tuple[dict[int, str], ...]:
        return {}, {0: "batch"}


class ConstantLoss(TaskBase):
    def loss(self, outputs: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
        return (outputs * 0).sum()


def record_for(component: type, target: Target) -> Component:
    common: dict[str, Any] = {"name": "broken", "summary": "s", "target": target(component)}
    if issubclass(component, PayloadFormat):
        return SignalKind(**common)
    if issubclass(component, StrategyContract):
        return Strategy(**common)
    if issubclass(component, ObjectiveContract):
        return Objective(**common)
    if issubclass(component, RuntimeContract):
        return Runtime(**common)
    if issubclass(component, ExporterBase):
        return Exporter(**common, suffix=".safetensors")
    return Task(**common, signal="tabular", default_data="toy")


def host_with(record: Component) -> Host:
    """The library's own components and this one."""
    from automl.host import hookimpl

    class Plugin:
        pass

    def hook(self: object) -> list[Component]:
        return [record]

    setattr(Plugin, record.hook, hookimpl(hook))
    return Host.load(entry_points=False, plugins=[Plugin()])


@pytest.mark.parametrize("sound", [ImageFormat, StrategyBase, ObjectiveBase, Eager, TaskBase, ExporterBase])
def test_a_sound_component_passes_all(sound: type, target: Target, failures: Failures) -> None:
    record = record_for(sound, target)
    found = failures(checks_for(record, host_with(record)))
    found = {name: text for name, text in found.items() if "the class is called" not in text}
    assert found == {}


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (SwapsAxes, "examples have the width asked for", "is not 1"),
        (IgnoresTheGenerator, "examples are drawn from the generator", "different seeds give the same example"),
        (WritesInPlace, "features are replaced and all else is shared", "changes the payload"),
        (AddsTheFirstTwice, "payloads join by sum and by concatenation", "the sum of the features"),
        (NoLoss, "reports finite losses", "must report 'loss'"),
        (UpdatesWeights, "gradient reaches what it ran and nothing else", "only the optimiser may change weights"),
        (PullsOnAllWeights, "gradient reaches what it ran and nothing else", "outside of all subnetworks that ran"),
        (Forgetful, "same generator, same step", "equal steps give different gradients"),
        (Counts, "keeps nothing from step to step", "a used strategy gives another gradient"),
        (ClimbsUp, "lowers the loss of the subnetworks", "30 epochs take the losses"),
        (WrongUnit, "agrees with its record", "measures in 'ms'"),
        (IntervalElsewhere, "measures finite values on any task", "outside of its interval"),
        (LeavesTrainingMode, "leaves the model as it was", "left in training mode"),
        (FirstFailureEndsAll, "a failing candidate does not touch the others", "measuring fails"),
        (Fluctuates, "repeats itself and grows with the network", "a second measurement gives"),
        (Shrinks, "repeats itself and grows with the network", "the smallest network costs"),
        (TimesNothing, "a model that cannot run is an error", "timed as if it had run"),
        (TrainsTheModel, "sessions of several models run side by side", "left in training mode"),
        (WrongSuffix, "agrees with its record", "writes '.weights'"),
        (WritesZeros, "leaves the network as it was", "of the model was changed"),
        (ExpectsNothing, "the file of another network is refused", "passes as this network's"),
        (WritesZeros, "files reproduce the network in a fresh process", "differs from the network's"),
        (RecognisesAll, "knows its data from others", "is recognised"),
        (SharesSamples, "parts are disjoint and kept", "train and test share 5 samples"),
        (NeverShuffles, "batches are repeatable", "another generator gives the same order"),
        (FlattersNan, "metrics are honest", "outputs of nan are measured as"),
        (FixesItsBatch, "exports know inputs, names and axes", "follow the batch"),
        (ConstantLoss, "loss is finite and has a gradient", "the loss has no gradient"),
    ],
)
def test_a_broken_promise_is_found(broken: type, check: str, message: str, target: Target, failures: Failures) -> None:
    record = record_for(broken, target)
    (chosen,) = [c for c in checks_for(record, host_with(record)) if c.name == check]
    found = failures([chosen])
    assert found, f"{check!r} does not notice {broken.__name__}"
    assert message in found[check]
