"""What searching during training saves: evaluations of finished weights until `concurrent` is as far as `linas`.

    python benchmarks/early_search.py [--seeds 3] [--epochs 8] [--trials 48] [--space image/tiny]

One supernet is trained on the built-in digits; the early measurements of all seeds are made in this one training, which they
do not change. Then each seed searches with both searchers on the same finished weights, error against multiply-accumulates.
The measure is the hypervolume of error and log(macs) as a share of the box between the smallest and the largest network
and the errors 0 and 1. ``reached`` is the number of evaluations after which the mean over seeds of `concurrent` is at least that
of `linas` after so many. Early evaluations cost as much as the others and are given beside it. Rows:
``benchmarks/results/early_search.json``.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from automl.host import Host
from automl.job.evaluation import Evaluator
from automl.job_config import EvaluationConfig
from automl.objectives.context import cpu_name, versions
from automl.objectives.error import Error
from automl.objectives.macs import Macs
from automl.search import Measurement, Searcher, hypervolume
from automl.search.concurrent import Concurrent
from automl.search.linas import Linas
from automl.space import Architecture, SearchSpace
from automl.supernet import build_supernet, load_skeleton
from automl.tasks import ImageClassification, ImageOptions
from automl.training import TrainingConfig, train
from automl.training.sandwich import Sandwich

RESULTS: Final = Path(__file__).parent / "results" / "early_search.json"
MARKS: Final = (16, 24, 32, 48, 64, 96)
GROUP: Final = 4


class Measured:
    """Evaluates each architecture once with the weights of one moment."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._known: dict[Architecture, Measurement] = {}

    def __call__(self, architectures: Sequence[Architecture]) -> list[Measurement]:
        new = [architecture for architecture in architectures if architecture not in self._known]
        for architecture, outcome in zip(new, self._evaluator(new) if new else [], strict=True):
            values = None if outcome.values is None else tuple(outcome.values)
            self._known[architecture] = Measurement(architecture=architecture, values=values, failure=outcome.failure)
        return [self._known[architecture] for architecture in architectures]


def searched(
    searcher: Searcher, first: Sequence[Architecture], measured: Measured, trials: int
) -> list[tuple[float, ...]]:
    """Values in the order in which a search finds them."""
    values: list[tuple[float, ...]] = []
    queue = list(first)
    while len(values) < trials:
        wanted = min(GROUP, trials - len(values))
        asked, queue = queue[:wanted], queue[wanted:]
        results = measured(asked or searcher.ask(wanted))
        if not results:
            break
        searcher.tell(results)
        values += [result.values if result.values is not None else (math.nan, math.nan) for result in results]
    return values


def share(values: Sequence[tuple[float, ...]], low: float, high: float) -> float:
    """Hypervolume as a share of the box."""
    scaled = np.array([(error, (math.log(macs) - low) / (high - low)) for error, macs in values])
    return float(hypervolume(scaled, [1.0, 1.0]))


def compare(options: argparse.Namespace) -> dict[str, Any]:
    """Trains, searches early, searches; returns the row."""
    host = Host.load()
    task = ImageClassification.load("digits", seed=options.seed, split=None, options=ImageOptions().model_dump())
    torch.manual_seed(options.seed)
    supernet = build_supernet(load_skeleton(options.space, host), task, host)
    space: SearchSpace = supernet.space
    seeds = range(options.seeds)
    config = TrainingConfig(epochs=options.epochs, validation_subnets=1)

    def evaluator() -> Evaluator:
        return Evaluator(supernet, task, objectives=[Error(), Macs()], config=EvaluationConfig(), seed=options.seed)

    kinds: dict[str, Callable[[int], Searcher]] = {
        "linas": lambda seed: Linas(space, objectives=2, seed=seed),
        "concurrent": lambda seed: Concurrent(space, objectives=2, seed=seed),
    }
    early: dict[int, dict[int, list[Measurement]]] = {seed: {} for seed in seeds}

    def measure(epoch: int) -> None:
        measured = Measured(evaluator())
        for seed in seeds:
            if asked := kinds["concurrent"](seed).ask_early(epoch, options.epochs, early[seed]):
                early[seed][epoch] = measured(asked)

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        train(
            supernet,
            task,
            config,
            strategy=Sandwich(),
            folder=Path(folder),
            seed=options.seed,
            device="cpu",
            measure=measure,
        )
    print(f"trained {options.epochs} epochs in {time.perf_counter() - started:.0f} s", flush=True)
    finished = Measured(evaluator())
    low, high = (math.log(m.values[1]) for m in finished([space.smallest(), space.largest()]) if m.values is not None)
    curves: dict[str, list[list[float]]] = {}
    for name, make in kinds.items():
        curves[name] = []
        for seed in seeds:
            searcher = make(seed)
            values = searched(
                searcher, searcher.ask_first(early[seed]) if early[seed] else [], finished, options.trials
            )
            curves[name].append([share(values[:n], low, high) for n in range(1, len(values) + 1)])
    length = min(len(curve) for own in curves.values() for curve in own)
    means = {name: np.array([curve[:length] for curve in own]).mean(axis=0) for name, own in curves.items()}
    reached = {}
    for mark in (m for m in MARKS if m <= length):
        enough = np.flatnonzero(means["concurrent"] >= means["linas"][mark - 1])
        reached[str(mark)] = int(enough[0]) + 1 if len(enough) else None
        shares = {name: round(float(mean[mark - 1]), 4) for name, mean in means.items()}
        print(
            f"{mark:4d} evaluations of linas: concurrent is there after {reached[str(mark)]}; shares {shares}",
            flush=True,
        )
    return {
        "space": options.space,
        "epochs": options.epochs,
        "seeds": options.seeds,
        "early": float(np.mean([sum(map(len, history.values())) for history in early.values()])),
        "reached": reached,
        "curves": {name: np.round(own_curves, 5).tolist() for name, own_curves in means.items()},
        "machine": {"cpu": cpu_name(), "versions": versions("torch", "numpy")},
    }


def main() -> None:
    """Runs the comparison and keeps its row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--trials", type=int, default=48)
    parser.add_argument("--space", default="image/tiny")
    parser.add_argument("--seed", type=int, default=0, help="of data, weights and training")
    row = compare(parser.parse_args())
    print(f"early evaluations: {row['early']:.0f} a search", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
