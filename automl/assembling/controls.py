"""What a run offers for the same classes and limits without the assembler: its ledger, and chance."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from automl.search.measurement import Measurement
from automl.space import Architecture, SearchSpace

__all__ = ["measure_controls"]

RANDOM: Final = 8
_DRAWS: Final = 400


def measure_controls(
    ledger: Sequence[Measurement],
    space: SearchSpace,
    *,
    within: Callable[[Architecture], bool],
    errors: Callable[[Architecture], Mapping[str, float]],
    seed: int,
) -> dict[str, Any]:
    """Returns what other ways to a network for the same question give, as JSON.

    Args:
        ledger: complete measurements of the search.
        space: the space.
        within: tells whether a network meets the limits.
        errors: measures the errors of a network on the asked classes, by part of the data.
        seed: decides the random networks.

    Returns:
        ``"ledger"``: the network of the smallest error in the search, on all classes, that meets the limits. ``"random"``: the
        number of random networks that meet the limits, and their mean errors. Null where there is none.
    """
    best = next((m.architecture for m in _by_error(ledger) if within(m.architecture)), None)
    drawn = list(itertools.islice((a for a in _draws(space, seed) if within(a)), RANDOM))
    found = [errors(architecture) for architecture in drawn]
    return {
        "ledger": None if best is None else {"id": best.id, "errors": dict(errors(best))},
        "random": None
        if not found
        else {"networks": len(found), "errors": {part: statistics.mean(e[part] for e in found) for part in found[0]}},
    }


def _by_error(ledger: Sequence[Measurement]) -> list[Measurement]:
    def error(measurement: Measurement) -> float:
        return float(measurement.details["measured"]["error"]["value"])

    known = [m for m in ledger if "error" in m.details.get("measured", {})]
    return sorted(known, key=lambda m: (error(m), m.architecture.id))


def _draws(space: SearchSpace, seed: int) -> Iterator[Architecture]:
    """Different random architectures."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(22, 1, 1)))
    seen: set[Architecture] = set()
    for _ in range(_DRAWS):
        architecture = space.sample(rng)
        if architecture not in seen:
            seen.add(architecture)
            yield architecture
