"""Batch-norm calibration: exact statistics of one subnetwork from a few batches.

A subnetwork that inherits weights sees activations that no training step normalised, so the statistics that training
left behind do not fit it. Every batch normalisation that takes part in the forward pass gets the pooled mean and variance
of all positions it saw, merged batch by batch (Chan, Golub, LeVeque 1983); nothing depends on the statistics before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from automl.errors import AutomlError

__all__ = ["CalibrationReport", "calibrate", "has_batch_norm"]

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


class _Moments:
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

    def variance(self) -> Tensor:
        """Unbiased, as batch normalisation stores it."""
        return self.deviations / max(1, self.count - 1)


def has_batch_norm(module: nn.Module) -> bool:
    """Tells whether a module holds a batch normalisation with running statistics."""
    return any(_is_batch_norm(m) for m in module.modules())


def _is_batch_norm(module: nn.Module) -> bool:
    if isinstance(module, _ElasticStatistics):
        return True
    is_instance_norm = isinstance(module, nn.modules.instancenorm._InstanceNorm)
    return isinstance(module, _NormBase) and not is_instance_norm and module.running_mean is not None


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
    layers = [m for m in module.modules() if _is_batch_norm(m)]
    if not layers:
        return CalibrationReport(layers=0, batches=0, samples=0, change=0.0, settled=True)
    moments: dict[nn.Module, _Moments] = {}

    def watch(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        moments.setdefault(layer, _Moments()).add(inputs[0])

    modes = {m: m.training for m in module.modules()}
    tracked = {m: m.num_batches_tracked.clone() for m in layers if isinstance(m.num_batches_tracked, Tensor)}
    handles = [layer.register_forward_pre_hook(watch) for layer in layers]
    used = samples = quiet = 0
    try:
        module.eval()
        for layer in layers:
            layer.train()  # normalises by the batch, as training did
        for inputs in batches:
            module(*inputs)
            used += 1
            samples += len(inputs[0])
            change = max((m.change for m in moments.values()), default=0.0)
            quiet = quiet + 1 if change <= tolerance else 0
            if tolerance > 0 and quiet >= patience:
                break
    finally:
        for handle in handles:
            handle.remove()
        for m, mode in modes.items():
            m.training = mode
        for layer, count in tracked.items():
            layer.num_batches_tracked.copy_(count)  # type: ignore[operator]
    if not used:
        raise AutomlError("calibration got no batch; batch-norm statistics need at least one.")
    for layer, moment in moments.items():
        _write(layer, moment)
    change = max((m.change for m in moments.values()), default=0.0)
    return CalibrationReport(len(moments), used, samples, change, tolerance > 0 and quiet >= patience)


def _write(layer: nn.Module, moment: _Moments) -> None:
    if moment.count == 0:
        return
    if isinstance(layer, _ElasticStatistics):
        layer.set_statistics(moment.mean, moment.variance())
    else:
        layer.running_mean.copy_(moment.mean)  # type: ignore[operator]
        layer.running_var.copy_(moment.variance())  # type: ignore[operator]
