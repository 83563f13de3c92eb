"""Checks of a signal kind: its payload can be packed, read, changed and joined."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from automl.host import Host, SignalKind
from automl.supernet import PayloadFormat
from automl.testing.check import Check, expect

__all__ = ["signal_checks"]


def signal_checks(component: SignalKind, host: Host) -> list[Check]:
    """Returns the checks of a signal kind."""
    checks: dict[str, Callable[[PayloadFormat], None]] = {
        "examples have the width asked for": _check_width,
        "examples are drawn from the generator": _check_example,
        "features are replaced and all else is shared": _check_replace,
        "payloads join by sum and by concatenation": _check_join,
    }
    return [
        Check(f"signal {component.name}", name, partial(_with_format, component, function))
        for name, function in checks.items()
    ]


def _with_format(component: SignalKind, function: Callable[[PayloadFormat], None]) -> None:
    kind = component.load()
    expect(issubclass(kind, PayloadFormat), f"{kind.__name__} must be a PayloadFormat.")
    function(kind())


def _payload(payload_format: PayloadFormat, width: int, seed: int, batch: int = 3) -> Any:
    return payload_format.pack(*payload_format.example(batch, width, torch.Generator().manual_seed(seed)))


def _check_width(payload_format: PayloadFormat) -> None:
    for width in (1, 4, 7):
        for batch in (0, 1, 3):
            features = payload_format.features(_payload(payload_format, width, seed=1, batch=batch))
            if payload_format.categorical:
                _check_categories(features, width, batch)
                continue
            found = features.shape[payload_format.channel_axis]
            expect(found == width, f"axis {payload_format.channel_axis} of {tuple(features.shape)} is not {width}.")
            expect(features.is_floating_point(), f"features are {features.dtype}; they must be floating point.")
            expect(features.shape[0] == batch, f"a batch of {batch} gives features {tuple(features.shape)}.")


def _check_categories(features: torch.Tensor, width: int, batch: int) -> None:
    expect(features.dtype == torch.int64, f"categories are {features.dtype}; they must be int64.")
    expect(
        bool(((features >= 0) & (features < width)).all()), f"categories {features.tolist()} leave the width {width}."
    )
    expect(features.shape[:1] == (batch,), f"a batch of {batch} gives features {tuple(features.shape)}.")


def _check_example(payload_format: PayloadFormat) -> None:
    first, again, other = (payload_format.example(3, 4, torch.Generator().manual_seed(s)) for s in (2, 2, 3))
    expect(all(map(torch.equal, first, again)), "the same seed gives different examples.")
    expect(not all(map(torch.equal, first, other)), "different seeds give the same example.")


def _check_replace(payload_format: PayloadFormat) -> None:
    payload = _payload(payload_format, 4, seed=4)
    before = payload_format.features(payload).clone()
    wider = (
        before + 1 if payload_format.categorical else torch.cat([before, before + 1], dim=payload_format.channel_axis)
    )
    changed = payload_format.with_features(payload, wider)
    expect(type(changed) is type(payload), f"with_features turns {type(payload)} into {type(changed)}.")
    expect(torch.equal(payload_format.features(changed), wider), "features(with_features(payload, f)) is not f.")
    expect(torch.equal(payload_format.features(payload), before), "with_features changes the payload it is given.")


def _check_join(payload_format: PayloadFormat) -> None:
    if payload_format.categorical:
        return  # numbers of things have no sum
    first, second = _payload(payload_format, 4, seed=5), _payload(payload_format, 4, seed=5)
    features = payload_format.features(second)
    second = payload_format.with_features(second, features * 2)
    total = payload_format.features(payload_format.add([first, second]))
    expect(torch.allclose(total, features * 3), "add does not give the sum of the features.")
    joined = payload_format.features(payload_format.concatenate([first, second]))
    expected = torch.cat([features, features * 2], dim=payload_format.channel_axis)
    expect(torch.equal(joined, expected), "concatenate does not join the features along the channel axis.")
