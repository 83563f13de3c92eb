"""Conservative search against random and full resampling on NAS-Bench-Graph, where every network is known.

    python benchmarks/graph/autognn.py [--data cora] [--seeds 8] [--trials 200]

Prints the mean over the seeds of the best validation accuracy after 25, 50, 100 and 200 networks (none is measured twice), and
the seconds of one seed. Three classes, as in the paper's three kinds of action: links, the first two operations, the
last two. Needs the package ``nas-bench-graph`` and its tables in the shared data folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from automl.atomic_write import write_atomically
from automl.search import Measurement, Random, Searcher
from automl.search.autognn import AutoGNN

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "search"))
import tables

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "autognn.json"
LOOKS: Final = (25, 50, 100, 200)
CLASSES: Final = {"link": "link", "early": ["op1", "op2"], "late": ["op3", "op4"]}
CONTESTANTS: Final[dict[str, Any]] = {
    "random": lambda space, seed: Random(space, objectives=1, seed=seed),
    "resample all": lambda space, seed: AutoGNN(space, objectives=1, seed=seed, classes=CLASSES, classes_per_step=3),
    "conservative": lambda space, seed: AutoGNN(space, objectives=1, seed=seed, classes=CLASSES),
}


def accuracies(data: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Validation accuracy of every row of the table."""
    with np.load(tables.DATA / "nas_bench_graph" / "nasbenchgraph.npz") as stored:
        column = list(stored["datasets"]).index(data)
        return stored["valid_perf"][:, column].astype(float)


def best_so_far(searcher: Searcher, table: tables.Table, accuracy: Any, trials: int) -> list[float]:
    """Searches one network at a time."""
    best: list[float] = []
    for _ in range(trials):
        asked = searcher.ask(1)
        row = int(table.rows(table.space.to_indices(asked))[0])
        searcher.tell([Measurement(architecture=asked[0], values=(1 - accuracy[row],))])
        best.append(max([float(accuracy[row]), *best[-1:]]))
    return best


def store(data: str, name: str, row: dict[str, Any]) -> None:
    """Writes a row to the results as soon as it is known."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known.setdefault(data, {})[name] = row
    write_atomically(RESULTS, json.dumps(known, indent=1))


def main() -> None:
    """Runs all contestants."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cora", choices=["cora", "citeseer", "pubmed"])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    arguments = parser.parse_args()
    table, accuracy = tables.load_table(f"nbg-{arguments.data}"), accuracies(arguments.data)
    looks = [look for look in LOOKS if look <= arguments.trials]
    for name in arguments.contestants:
        make = CONTESTANTS[name]
        started = time.process_time()
        curves = np.array(
            [best_so_far(make(table.space, s), table, accuracy, arguments.trials) for s in range(arguments.seeds)]
        )
        seconds = (time.process_time() - started) / arguments.seeds
        found = {
            look: [round(float(v), 4) for v in (curves[:, look - 1].mean(), curves[:, look - 1].std())]
            for look in looks
        }
        row = {"seeds": arguments.seeds, "best": found, "seconds": round(seconds, 2)}
        store(arguments.data, name, row)
        cells = "  ".join(f"{look}: {mean:.4f} ± {deviation:.4f}" for look, (mean, deviation) in found.items())
        print(f"{name:14} {cells}  ({seconds:.1f} s a seed)", flush=True)


if __name__ == "__main__":
    main()
