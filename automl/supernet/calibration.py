"""Batch-norm calibration: exact statistics of one subnetwork from a few batches.

A subnetwork that inherits weights sees activations that no training step normalised, so the statistics that training
left behind do not fit it. Every batch normalisation that takes part in the forward pass gets the pooled mean and variance
of all positions it saw, merged batch by batch (Chan, Golub, LeVeque 1983); nothing depends on the statistics before.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from automl.errors import AutomlError

__all__ = [
    "CalibrationReport",
    "Moments",
    "Settling",
    "batch_norms",
    "calibrate",
    "calibration_mode",
    "has_batch_norm",
    "write_statistics",
]

DEFAULT_TOLERANCE: Final = 2e-3


@dataclass(frozen=True)
class CalibrationReport:
    """What a calibration did.

    Attributes:
        layers: number of batch normalisations that took part.
        batches: number of batches used.
        samples: number of samples used.
        change: largest change of any statistic by the last batch, in standard deviations of its channel.
        settled: whether it stopped because the change stayed below the tolerance.
    """

    layers: int
    batches: int
    samples: int
    change: float
    settled: bool

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)


@runtime_checkable
class _ElasticStatistics(Protocol):
    """What elastic batch norms offer: writing the active slice of their statistics."""

    def set_statistics(self, mean: Tensor, variance: Tensor) -> None:
        """Writes ``(channels,)`` statistics of the active channels."""


class Moments:
    """Pooled mean and sum of squared deviations of one layer, ``(channels,)`` each, in float64."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.deviations = torch.zeros(())
        self.change = float("inf")

    def add(self, batch: Tensor) -> None:
        values = batch.detach().double().movedim(1, 0).flatten(1)
        count = values.shape[1]
        if count == 0:
            return
        mean = values.mean(1)
        deviations = (values - mean[:, None]).square().sum(1)
        if self.count == 0:
            self.count, self.mean, self.deviations = count, mean, deviations
            return
        before, spread_before = self.mean, self._spread()
        total = self.count + count
        step = mean - self.mean
        self.mean = self.mean + step * (count / total)
        self.deviations = self.deviations + deviations + step.square() * (self.count * count / total)
        self.count = total
        scale = self._spread().clamp_min(1e-12)
        drift = ((self.mean - before).abs() / scale).max()
        widening = ((self._spread() - spread_before).abs() / scale).max()
        self.change = float(torch.maximum(drift, widening))

    def _spread(self) -> Tensor:
        return (self.deviations / max(1, self.count)).sqrt()

    def copy(self) -> Moments:
        """Returns the moments of this moment; ``add`` replaces tensors and never writes into them."""
        return copy.copy(self)

    def variance(self) -> Tensor:
        """Unbiased, as batch normalisation stores it."""
        return self.deviations / max(1, self.count - 1)


class Settling:
    """Decides when the statistics of one network have been gathered from enough batches.

    Args:
        tolerance: largest change of a statistic that counts as quiet, in standard deviations; 0 never settles.
        patience: number of quiet batches in a row.

    Attributes:
        settled: whether no further batch is needed.
    """

    def __init__(self, tolerance: float, patience: int) -> None:
        self.settled = False
        self._tolerance: Final = tolerance
        self._patience: Final = patience
        self._batches = self._samples = self._quiet = 0

    def add(self, samples: int, moments: Collection[Moments]) -> None:
        """Counts a batch, after which the layers have these moments."""
        self._batches += 1
        self._samples += samples
        self._quiet = self._quiet + 1 if _change(moments) <= self._tolerance else 0
        self.settled = self._tolerance > 0 and self._quiet >= self._patience

    def report(self, moments: Collection[Moments]) -> CalibrationReport:
        """Returns what was done.

        Raises:
            AutomlError: there was no batch.
        """
        if not self._batches:
            raise AutomlError("calibration got no batch; batch-norm statistics need at least one.")
        return CalibrationReport(len(moments), self._batches, self._samples, _change(moments), self.settled)


def _change(moments: Iterable[Moments]) -> float:
    return max((m.change for m in moments), default=0.0)


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Returns the batch normalisations with running statistics in a module, in the order of ``modules()``."""
    return [m for m in module.modules() if _is_batch_norm(m)]


def has_batch_norm(module: nn.Module) -> bool:
    """Tells whether a module holds a batch normalisation with running statistics."""
    return any(_is_batch_norm(m) for m in module.modules())


def _is_batch_norm(module: nn.Module) -> bool:
    if isinstance(module, _ElasticStatistics):
        return True
    is_instance_norm = isinstance(module, nn.modules.instancenorm._InstanceNorm)
    return isinstance(module, _NormBase) and not is_instance_norm and module.running_mean is not None


@contextmanager
def calibration_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Batch normalisations normalise by the batch, as in training, and all else is in evaluation mode.

    Modes and batch counters are as before afterwards; running statistics are overwritten and not given back.
    """
    modes = {m: m.training for module in modules for m in module.modules()}
    layers = [layer for module in modules for layer in batch_norms(module)]
    tracked = {m: m.num_batches_tracked.clone() for m in layers if isinstance(m.num_batches_tracked, Tensor)}
    try:
        for module in modules:
            module.eval()
        for layer in layers:
            layer.train()
        yield
    finally:
        for m, mode in modes.items():
            m.training = mode
        for layer, count in tracked.items():
            layer.num_batches_tracked.copy_(count)  # type: ignore[operator]


@torch.no_grad()
def calibrate(
    module: nn.Module,
    batches: Iterable[tuple[Tensor, ...]],
    *,
    tolerance: float = DEFAULT_TOLERANCE,
    patience: int = 2,
) -> CalibrationReport:
    """Sets the statistics of every batch normalisation that a forward pass reaches.

    Args:
        module: a supernet with its active subnetwork, or any module. Its training mode is kept.
        batches: input tensors of each batch, of fixed order for a repeatable result.
        tolerance: stop once no statistic moved by more than this, in standard deviations, ``patience`` times in a row;
            0 uses all batches.
        patience: number of quiet batches needed.

    Raises:
        AutomlError: there are batch normalisations and not a single batch.
    """
    layers = batch_norms(module)
    if not layers:
        return CalibrationReport(layers=0, batches=0, samples=0, change=0.0, settled=True)
    moments: dict[nn.Module, Moments] = {}

    def watch(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        moments.setdefault(layer, Moments()).add(inputs[0])

    settling = Settling(tolerance, patience)
    handles = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        with calibration_mode([module]):
            for inputs in batches:
                module(*inputs)
                settling.add(len(inputs[0]), moments.values())
                if settling.settled:
                    break
    finally:
        for handle in handles:
            handle.remove()
    report = settling.report(moments.values())
    for layer, moment in moments.items():
        write_statistics(layer, moment)
    return report


@torch.no_grad()
def write_statistics(layer: nn.Module, moments: Moments) -> None:
    """Makes pooled moments the running statistics of a batch normalisation; those of no position change nothing."""
    if moments.count == 0:
        return
    if isinstance(layer, _ElasticStatistics):
        layer.set_statistics(moments.mean, moments.variance())
    else:
        layer.running_mean.copy_(moments.mean)  # type: ignore[operator]
        layer.running_var.copy_(moments.variance())  # type: ignore[operator]
