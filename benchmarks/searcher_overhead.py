"""What a searcher costs besides the evaluations: milliseconds of ask + tell per candidate, as the history grows.

    python benchmarks/searcher_overhead.py [--trials 10000] [--seconds 120] [--spaces flat45 depth45]

Ours, the samplers of Optuna as its users run them (``study.ask``, ``suggest``, ``study.tell``, storage in memory), one of
them through our adapter, and pymoo's NSGA-II. Two objectives that cost nothing; their time is not counted. Spaces:
``flat45`` (45 dimensions of three choices) and ``depth45`` (five stages of depth 2–4 with kernel and expansion of every
block, 45 dimensions of which 20 depend on a depth; pymoo, which knows no conditions, runs on the first only).

All contestants are alive at once and get the machine in turns of 50 candidates, so load from outside meets all of them.
One that has used up its processor seconds stops early (the Gaussian process after 200 candidates in any case) and the table says
where. "at" is the mean over the last tenth of the candidates before that number. Processor time is what the budget of
0.2 ms is held against: unlike wall time it does not grow when others use the machine. Rows:
``benchmarks/results/searcher_overhead.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.problems.static import StaticProblem
from spaces45 import depth45, flat45

from automl.objectives.context import cpu_name, versions
from automl.search import Evolution, Measurement, OptunaSampler, Random, Searcher
from automl.space import SearchSpace

RESULTS: Final = Path(__file__).parent / "results" / "searcher_overhead.json"
CHECKPOINTS: Final = (200, 1000, 3000, 10_000)
TURN: Final = 50
BUDGET_MS: Final = 0.2


SPACES: Final = {"flat45": flat45, "depth45": depth45}
WEIGHTS: Final = np.random.default_rng(0).random((2, 45)) * [[1.0], [-1.0]]


def objective(positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Two conflicting sums over the positions: ``(n, 45)`` to ``(n, 2)``."""
    values: np.ndarray[Any, Any] = np.sqrt(positions + 1.0) @ WEIGHTS[0], (positions + 1.0) ** 1.5 @ WEIGHTS[1]
    return np.stack(values, axis=1)


class Stopwatch:
    """Wall and processor seconds of the blocks it is used around."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __enter__(self) -> None:
        self._start = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter() - self._start[0]
        self.processor += time.process_time() - self._start[1]


Steps = Iterator[int]
Contestant = Callable[[SearchSpace, Stopwatch], Steps]


def ours(make: Callable[[SearchSpace], Searcher]) -> Contestant:
    """One of our searchers, asked for one candidate at a time."""

    def run(space: SearchSpace, watch: Stopwatch) -> Steps:
        with watch:
            searcher = make(space)
        while True:
            with watch:
                asked = searcher.ask(1)
            values = objective(space.to_indices(asked))
            told = [
                Measurement(architecture=a, values=(float(v[0]), float(v[1])))
                for a, v in zip(asked, values, strict=True)
            ]
            with watch:
                searcher.tell(told)
            yield len(asked)

    return run


def optunas(make: Callable[[], optuna.samplers.BaseSampler]) -> Contestant:
    """A sampler of Optuna, used the ordinary way."""

    def run(space: SearchSpace, watch: Stopwatch) -> Steps:
        with watch:
            study = optuna.create_study(directions=["minimize", "minimize"], sampler=make())
        while True:
            with watch:
                trial = study.ask()
                architecture = space.suggest(trial)
            values = objective(space.to_indices([architecture]))[0].tolist()
            with watch:
                study.tell(trial, values)
            yield 1

    return run


def pymoos(space: SearchSpace, watch: Stopwatch) -> Steps:
    """NSGA-II of pymoo on whole numbers, a generation at a time, without duplicates within two generations."""
    counts = np.array([len(d.choices) for d in space.dimensions.values()])
    problem = Problem(n_var=len(counts), n_obj=2, xl=0, xu=counts - 1, vtype=int)
    with watch:
        algorithm = NSGA2(
            pop_size=100,
            sampling=IntegerRandomSampling(),
            crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
            mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
            eliminate_duplicates=True,
        )
        algorithm.setup(problem, termination=NoTermination(), seed=1, verbose=False)
    while True:
        with watch:
            population = algorithm.ask()
        values = objective(population.get("X").astype(int))
        with watch:
            algorithm.evaluator.eval(StaticProblem(problem, F=values), population)
            algorithm.tell(infills=population)
        yield len(population)


PEERS: Final = ("pymoo NSGA-II", "optuna NSGAIISampler")
CONTESTANTS: Final[dict[str, Contestant]] = {
    "evolution": ours(lambda space: Evolution(space, objectives=2, seed=1)),
    "random": ours(lambda space: Random(space, objectives=2, seed=1)),
    "optuna:NSGAIISampler (adapter)": ours(
        lambda space: OptunaSampler(space, objectives=2, seed=1, sampler="NSGAIISampler")
    ),
    "pymoo NSGA-II": pymoos,
    "optuna NSGAIISampler": optunas(lambda: optuna.samplers.NSGAIISampler(seed=1)),
    "optuna RandomSampler": optunas(lambda: optuna.samplers.RandomSampler(seed=1)),
    "optuna TPESampler": optunas(lambda: optuna.samplers.TPESampler(seed=1)),
    "optuna GPSampler": optunas(lambda: optuna.samplers.GPSampler(seed=1, warn_independent_sampling=False)),
}


@dataclass
class Lane:
    """One contestant on one space."""

    name: str
    steps: Steps
    watch: Stopwatch
    limit: int
    counted: list[tuple[int, float, float]] = field(default_factory=lambda: [(0, 0.0, 0.0)])

    def turn(self) -> None:
        """Runs about ``TURN`` candidates."""
        goal = min(self.count + TURN, self.limit)
        while self.count < goal:
            done = self.count + next(self.steps)
            self.counted.append((done, self.watch.wall, self.watch.processor))

    @property
    def count(self) -> int:
        return self.counted[-1][0]

    def row(self, space: str, checkpoint: int) -> dict[str, Any] | None:
        """Milliseconds per candidate, over all and over the last tenth before the checkpoint."""
        until = [entry for entry in self.counted if entry[0] <= checkpoint]
        end = until[-1]
        if end[0] < 0.9 * checkpoint:
            return None
        start = min(until[:-1], key=lambda entry: abs(entry[0] - 0.9 * end[0]))
        mean, local = ([1000 * (end[k] - s[k]) / (end[0] - s[0]) for k in (1, 2)] for s in (until[0], start))
        return {
            "space": space,
            "searcher": self.name,
            "trials": checkpoint,
            "wall_ms_mean": mean[0],
            "processor_ms_mean": mean[1],
            "wall_ms_at": local[0],
            "processor_ms_at": local[1],
        }


def race(name: str, trials: int, seconds: float) -> list[dict[str, Any]]:
    """Runs all contestants on one space in turns; returns the rows."""
    space = SPACES[name]()
    lanes = []
    for contestant, run in CONTESTANTS.items():
        if contestant != "pymoo NSGA-II" or name == "flat45":
            watch = Stopwatch()
            limit = min(trials, 200) if "GPSampler" in contestant else trials
            lanes.append(Lane(contestant, run(space, watch), watch, limit))
    running = list(lanes)
    while running:
        for lane in running:
            lane.turn()
        running = [lane for lane in running if lane.count < lane.limit and lane.watch.processor < seconds]
    rows = []
    for lane in lanes:
        checkpoints = set(CHECKPOINTS)
        if lane.count < lane.limit:
            print(f"{name}: {lane.name} used up its {seconds:g} s after {lane.count} of {lane.limit} candidates")
            checkpoints.add(lane.count)
        rows += [row for checkpoint in sorted(checkpoints) if (row := lane.row(name, checkpoint))]
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Prints processor milliseconds per candidate and the ratio to each peer at the same number of trials."""
    header = f"{'space':8} {'trials':>6}  {'searcher':32} {'ms mean':>9} {'ms at':>9} {'wall at':>9}"
    print(header + "".join(f"  {'÷ ' + peer:>22}" for peer in PEERS))
    for row in sorted(rows, key=lambda r: (r["space"], r["trials"])):
        line = f"{row['space']:8} {row['trials']:6}  {row['searcher']:32} {row['processor_ms_mean']:9.3f}"
        line += f" {row['processor_ms_at']:9.3f} {row['wall_ms_at']:9.3f}"
        for peer in PEERS:
            found = [
                r["processor_ms_at"]
                for r in rows
                if (r["searcher"], r["trials"]) == (peer, row["trials"])
                and (r["space"] == row["space"] or peer == "pymoo NSGA-II")
            ]
            line += f"  {row['processor_ms_at'] / found[0]:22.2f}" if found else f"  {'–':>22}"
        verdict = ""
        if row["searcher"] == "evolution":
            verdict = "  within budget" if row["processor_ms_at"] <= BUDGET_MS else f"  OVER {BUDGET_MS} ms"
        print(line + verdict)


def main() -> None:
    """Runs the race and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument(
        "--seconds", type=float, default=120.0, help="longest processor time of one contestant on one space"
    )
    parser.add_argument("--spaces", nargs="+", choices=sorted(SPACES), default=sorted(SPACES))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    context: dict[str, Any] = {
        "cpu": cpu_name(),
        "versions": versions("numpy", "optuna", "pymoo", "torch"),
        "threads": os.environ["OMP_NUM_THREADS"],
        "options": {name: str(value) for name, value in vars(options).items() if name != "output"},
        "load": os.getloadavg(),
    }
    print(json.dumps(context), flush=True)
    rows = [row for space in options.spaces for row in race(space, options.trials, options.seconds)]
    print_table(rows)
    context["load at the end"] = os.getloadavg()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"context": context, "rows": rows}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
