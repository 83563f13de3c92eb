"""The published table of pooling configurations: what it says, and what a search on it must find.

Table 6 of Javan Roshtkhari, Toews, Pedersoli 2023, Balanced Mixture of SuperNets for Learning the CNN Pooling Architecture, PMLR
224:8, under CC BY 4.0: accuracies in percent of a ResNet20 on CIFAR10, by the numbers of layers before, between and behind its
two poolings.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from automl.search import Measurement
from automl.search.random import Random
from automl.space import Architecture, Ordinal, SearchSpace

LAYERS = 10
ACCURACIES = (
    *(87.45, 87.69, 87.89, 88.60, 89.38, 90.13, 90.16, 89.41),
    *(88.78, 89.03, 90.42, 90.57, 90.89, 91.01, 90.22),
    *(89.10, 89.70, 90.61, 90.92, 90.88, 90.14),
    *(89.68, 90.34, 90.52, 90.85, 89.71),
    *(91.05, 90.96, 91.55, 89.84),
    *(91.78, 91.83, 90.96),
    *(92.01, 90.47),
    89.99,
)
CONFIGURATIONS = [
    (first, second, LAYERS - first - second) for first in range(1, LAYERS - 1) for second in range(1, LAYERS - first)
]
TABLE = dict(zip(CONFIGURATIONS, ACCURACIES, strict=True))
BEST, DEFAULT = 92.01, (4, 3, 3)


def space() -> SearchSpace:
    counts = range(1, LAYERS - 1)
    impossible = [{"first": a, "second": b} for a, b in itertools.product(counts, counts) if a + b >= LAYERS]
    return SearchSpace.build({"first": Ordinal(*counts), "second": Ordinal(*counts)}, forbidden=impossible)


def accuracy(architecture: Architecture) -> float:
    first, second = int(architecture["first"]), int(architecture["second"])
    return TABLE[first, second, LAYERS - first - second]


def test_the_table_holds_what_the_paper_says_of_it() -> None:
    assert len(TABLE) == space().size() == 36
    assert CONFIGURATIONS.index(DEFAULT) == 23
    assert sum(value > TABLE[DEFAULT] for value in ACCURACIES) == 14
    assert max(TABLE, key=TABLE.__getitem__) == (7, 1, 2)
    assert max(ACCURACIES) - TABLE[DEFAULT] == pytest.approx(1.49)


def test_random_search_needs_half_of_the_table_on_average_and_its_regret_falls_to_zero() -> None:
    draws, regrets = [], []
    for seed in range(300):
        searcher = Random(space(), objectives=1, seed=seed)
        seen: list[float] = []
        while len(seen) < len(TABLE):
            asked = searcher.ask(4)
            seen += [accuracy(architecture) for architecture in asked]
            searcher.tell([Measurement(architecture=a, values=(1 - accuracy(a) / 100,)) for a in asked])
        draws.append(seen.index(BEST) + 1)
        regrets.append(BEST - np.maximum.accumulate(seen))
    assert np.mean(draws) == pytest.approx(18.5, abs=2)
    mean = np.mean(regrets, axis=0)
    assert (np.diff(mean) <= 0).all()
    assert 0 < mean[9] < mean[0] / 3
    assert mean[-1] == 0
