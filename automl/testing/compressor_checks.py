"""Checks of a compressor: zeros stay zeros, its state continues it exactly, and it describes itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Final

import torch
from torch import nn

from automl.host import Compressor as CompressorRecord
from automl.host import Host
from automl.testing.check import Check, expect
from automl.testing.toy_task import toy_supernet
from automl.training import Compressor, TrainingPlan

__all__ = ["compressor_checks"]

_STEPS: Final = 60
_PLAN: Final = TrainingPlan(_STEPS, 10, 3, lambda step: 0.1 * (1 - step / (_STEPS + 1)), 0.1)


def compressor_checks(component: CompressorRecord, host: Host) -> list[Check]:
    """Returns the checks of a compressor; it is built with its default options."""
    checks: dict[str, Callable[[Callable[[], Compressor]], None]] = {
        "describes itself": partial(_check_description, component.name),
        "masked weights, their gradients and averages are zero after every step": _check_zeros,
        "prunes in the course of a training": _check_pruning,
        "goes on from its state as if nothing had happened": _check_state,
    }
    subject = f"compressor {component.name}"
    return [Check(subject, name, partial(_with_class, component, function)) for name, function in checks.items()]


def _with_class(component: CompressorRecord, function: Callable[[Callable[[], Compressor]], None]) -> None:
    function(component.load())


def _check_description(name: str, build: Callable[[], Compressor]) -> None:
    compressor = build()
    expect(isinstance(compressor, Compressor), f"{type(compressor).__name__} must be a Compressor.")
    expect(compressor.name == name, f"the class is called {compressor.name!r}, its record {name!r}.")
    _attached(compressor)
    json.dumps([compressor.describe(), compressor.record()])
    expect(repr(compressor).startswith(type(compressor).__name__), f"repr must show the options, it is {compressor!r}.")


def _check_zeros(build: Callable[[], Compressor]) -> None:
    compressor = build()
    network = _attached(compressor)
    weights = dict(network.named_parameters())
    averages = {name: torch.ones_like(weight) for name, weight in weights.items()}
    for step in range(1, _STEPS + 1):
        _move(network, step)
        compressor.mask_gradients()
        for name, mask in compressor.masks.items():
            gradient = weights[name].grad
            expect(gradient is None or not gradient[~mask].any(), f"masked weights of {name} have gradients.")
        compressor.weights_updated(step)
        compressor.mask_average(averages)
        for name, mask in compressor.masks.items():
            expect(not weights[name][~mask].any(), f"step {step}: masked weights of {name} are not zero.")
            expect(not averages[name][~mask].any(), f"step {step}: masked averages of {name} are not zero.")


def _check_pruning(build: Callable[[], Compressor]) -> None:
    compressor = build()
    network = _attached(compressor)
    for step in range(1, _STEPS + 1):
        _move(network, step)
        compressor.mask_gradients()
        compressor.weights_updated(step)
    expect(any(not mask.all() for mask in compressor.masks.values()), "a whole training leaves all weights in place.")
    expect(all(bool(mask.any()) for mask in compressor.masks.values()), "a weight tensor is lost as a whole.")


def _check_state(build: Callable[[], Compressor]) -> None:
    whole, broken = build(), build()
    networks = [_attached(whole), _attached(broken)]
    for step in range(1, _STEPS + 1):
        if step in (1, 25, 43):
            state = {name: tensor.clone() for name, tensor in broken.state_dict().items()}
            weights = {name: tensor.clone() for name, tensor in networks[1].state_dict().items()}
            broken = build()
            networks[1] = _attached(broken)
            networks[1].load_state_dict(weights)
            broken.load_state_dict(state)
        for compressor, network in zip((whole, broken), networks, strict=True):
            _move(network, step)
            compressor.mask_gradients()
            compressor.weights_updated(step)
        for name, mask in whole.masks.items():
            expect(torch.equal(mask, broken.masks[name]), f"step {step}: the masks of {name} differ after a restart.")
        for (name, one), other in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
            expect(torch.equal(one, other), f"step {step}: {name} differs after a restart.")


def _attached(compressor: Compressor) -> nn.Module:
    network = toy_supernet(1).network
    compressor.attach(network, _PLAN)
    return network


@torch.no_grad()
def _move(network: nn.Module, step: int) -> None:
    """What an optimiser with momentum does: gradients for all weights, and a change of each, masked or not."""
    generator = torch.Generator().manual_seed(step)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
