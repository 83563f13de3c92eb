"""Conservative search against random and full resampling on NAS-Bench-Graph, where every network is known.

    python benchmarks/graph/autognn.py [--data cora] [--seeds 8] [--trials 200]

The best validation accuracy after 25, 50, 100 and 200 networks (none is measured twice), the test accuracy of the winner, and the
seconds of one seed. Three classes, as in the paper's three kinds of action: links, the first two operations, the last two. Rows
go to ``benchmarks/results/graph/autognn.jsonl`` as they are measured, and those that are there are not repeated. Needs the
tables of the package ``nas-bench-graph`` in the shared data folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

from automl.search import Measurement, Random, Searcher
from automl.search.autognn import AutoGNN

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "search"))
import tables
from rows import Row, Rows, machine

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "graph" / "autognn.jsonl"
LOOKS: Final = (25, 50, 100, 200)
Accuracies = np.ndarray[Any, np.dtype[np.float64]]
CLASSES: Final = {"link": "link", "early": ["op1", "op2"], "late": ["op3", "op4"]}
CONTESTANTS: Final[dict[str, Any]] = {
    "random": lambda space, seed: Random(space, objectives=1, seed=seed),
    "resample all": lambda space, seed: AutoGNN(space, objectives=1, seed=seed, classes=CLASSES, classes_per_step=3),
    "conservative": lambda space, seed: AutoGNN(space, objectives=1, seed=seed, classes=CLASSES),
}


def accuracies(data: str) -> tuple[Accuracies, Accuracies]:
    """Validation and test accuracy of every row of the table."""
    with np.load(tables.DATA / "nas_bench_graph" / "nasbenchgraph.npz") as stored:
        column = list(stored["datasets"]).index(data)
        return stored["valid_perf"][:, column].astype(float), stored["test_perf"][:, column].astype(float)


def search(searcher: Searcher, data: str, trials: int) -> Row:
    """Searches one network at a time."""
    table, (validation, test) = tables.load_table(f"nbg-{data}"), accuracies(data)
    started = time.process_time()
    found: list[int] = []
    for _ in range(trials):
        asked = searcher.ask(1)
        row = int(table.rows(table.space.to_indices(asked))[0])
        searcher.tell([Measurement(architecture=asked[0], values=(1 - validation[row],))])
        found.append(row)
    best = np.maximum.accumulate(validation[found])
    return {
        "best": {str(look): best[look - 1] for look in LOOKS if look <= trials},
        "test": test[found[int(validation[found].argmax())]],
        "seconds": time.process_time() - started,
    }


def table_of(rows: Sequence[Row]) -> str:
    """Returns mean and deviation over the seeds, as Markdown."""
    looks = list(rows[0]["best"]) if rows else []
    lines = [f"| searcher | {' | '.join(looks)} | test of the last | seeds | CPU s |", "|---" * (len(looks) + 4) + "|"]
    for name in CONTESTANTS:
        group = [row for row in rows if row["searcher"] == name]
        if group:
            cells = [
                f"{np.mean(v):.4f} ± {np.std(v):.4f}" for v in ([r["best"][look] for r in group] for look in looks)
            ]
            test, seconds = (np.mean([row[k] for row in group]) for k in ("test", "seconds"))
            lines.append(f"| {name} | {' | '.join(cells)} | {test:.4f} | {len(group)} | {seconds:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Runs what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="cora", choices=["cora", "citeseer", "pubmed"])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS), choices=list(CONTESTANTS))
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    rows, settings = Rows(arguments.results), {"data": arguments.data, "trials": arguments.trials}
    space = tables.load_table(f"nbg-{arguments.data}").space
    for seed in range(arguments.seeds):
        for name in arguments.contestants:
            key = {**settings, "searcher": name, "seed": seed}
            if rows.find(key) is None:
                found = search(CONTESTANTS[name](space, seed), arguments.data, arguments.trials)
                rows.add({**key, **found, "machine": machine()})
                print({**key, **found}, flush=True)
    print(table_of(rows.where(settings)))


if __name__ == "__main__":
    main()
