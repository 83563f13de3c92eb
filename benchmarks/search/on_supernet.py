"""How many evaluations of a real supernet each searcher needs: the default one against NSGA-II with 300.

    automl search --name search-benchmark --space image/mobile --objective error --objective macs --epochs 12 --trials 1
    python benchmarks/search/on_supernet.py runs/search-benchmark [--seeds 5]

Both objectives are repeatable (error on the validation part, multiply-accumulates), so an architecture is measured once
and remembered, whoever asks. Hypervolume up to the reference (1, MACs of the largest subnetwork). Rows:
``benchmarks/results/search/on_supernet.json``; goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from automl.host import Host
from automl.job import load_supernet, make_evaluator
from automl.run_folder import Run
from automl.search import Evolution, Measurement, OptunaSampler, Searcher, hypervolume
from automl.search.portfolio import Portfolio
from automl.space import Architecture, SearchSpace

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "search" / "on_supernet.json"
BUDGETS: Final = {"portfolio": 100, "evolution": 300, "optuna:NSGAIISampler": 300}
GROUP: Final = 8


def searcher(name: str, space: SearchSpace, seed: int) -> Searcher:
    """Returns a contestant."""
    if name == "portfolio":
        return Portfolio(space, objectives=2, seed=seed)
    if name == "evolution":
        return Evolution(space, objectives=2, seed=seed)
    return OptunaSampler(space, objectives=2, seed=seed, sampler="NSGAIISampler", options={"population_size": 20})


class Remembered:
    """Measures architectures of a run once; what was measured is kept in a file beside the run.

    Args:
        run: a run whose supernet is trained.
    """

    def __init__(self, run: Run) -> None:
        host = Host.load()
        supernet, task, parts = load_supernet(run, host)
        self.space: Final = supernet.space
        self._evaluator: Final = make_evaluator(run, parts, supernet, task)
        self._path: Final = run.path("remembered.jsonl")
        self._known: Final[dict[str, list[float]]] = {}
        if self._path.is_file():
            self._known.update(json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines())

    def __call__(self, architectures: Sequence[Architecture]) -> list[Measurement]:
        """Returns measurements, in order."""
        new = [a for a in architectures if a.id not in self._known]
        if new:
            with self._path.open("a", encoding="utf-8") as file:
                for architecture, outcome in zip(new, self._evaluator(new), strict=True):
                    assert outcome.values is not None, outcome.failure
                    self._known[architecture.id] = [float(value) for value in outcome.values]
                    file.write(json.dumps([architecture.id, self._known[architecture.id]]) + "\n")
        return [Measurement(architecture=a, values=tuple(self._known[a.id])) for a in architectures]


def volumes(name: str, measure: Remembered, seed: int, reference: np.ndarray[Any, Any]) -> list[float]:
    """Returns the hypervolume after 10, 20, ... evaluations."""
    contestant, values = searcher(name, measure.space, seed), []
    while len(values) < BUDGETS[name]:
        results = measure(contestant.ask(min(GROUP, BUDGETS[name] - len(values))))
        contestant.tell(results)
        values += [result.values for result in results]
    scaled = np.array(values) / reference
    return [hypervolume(scaled[:n], np.ones(2)) for n in range(10, len(scaled) + 1, 10)]


def main() -> None:
    """Runs what is missing and prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    measure = Remembered(Run.open(options.run))
    largest = measure([measure.space.largest()])[0].values
    assert largest is not None
    reference = np.array([1.0, largest[1]])
    rows: dict[str, list[float]] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for seed in range(options.seeds):
        for name in BUDGETS:
            key = f"{name} {seed}"
            if key not in rows:
                rows[key] = volumes(name, measure, seed, reference)
                RESULTS.write_text(json.dumps(rows) + "\n", encoding="utf-8")
        ours = rows[f"portfolio {seed}"]
        for rival in ("evolution", "optuna:NSGAIISampler"):
            goal = rows[f"{rival} {seed}"][-1]
            needed = next((10 * (i + 1) for i, volume in enumerate(ours) if volume >= goal), None)
            print(
                f"seed {seed}: {rival} after {BUDGETS[rival]} evaluations {goal:.4f} (after 100: "
                f"{rows[f'{rival} {seed}'][9]:.4f}); portfolio after 100 {ours[-1]:.4f}, reached at {needed}",
                flush=True,
            )


if __name__ == "__main__":
    main()
