"""Runs contestants over tables and stores what each of them evaluated; goes on where it stopped.

    python benchmarks/search/run.py [--contestants portfolio optuna-tpe ...] [--tables nb201-cifar10 ...] [--seeds 20]

One line a run in ``benchmarks/results/search/<contestant>.jsonl``: table, seed, processor seconds, and regret (1 minus the
share of the true hypervolume) after 10, 20, ... distinct networks. A contestant that stops before its budget, as it only
repeats itself, keeps the regret it had then. ``compare.py`` draws the figures and prints the verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

from contestants import LIMITS, RIVALS, run_contestant
from tables import TABLES, load_table

RESULTS: Final = Path(__file__).resolve().parents[1] / "results" / "search"
BUDGET: Final = 500
EVERY: Final = 10


def curve(table_name: str, rows: list[int], budget: int) -> list[float]:
    """Returns the regret after each tenth evaluation of the budget."""
    table = load_table(table_name)
    return [float(f"{1 - table.share(rows[:n]):.6g}") for n in range(EVERY, budget + 1, EVERY)]  # type: ignore[arg-type]


def finished(path: Path) -> dict[tuple[str, int], int]:
    """Returns the budget of the runs that a file holds, by table and seed; a torn last line does not count."""
    if not path.is_file():
        return {}
    done: dict[tuple[str, int], int] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            continue
        run = entry["table"], entry["seed"]
        done[run] = max(done.get(run, 0), entry["budget"])
    return done


def main() -> None:
    """Runs what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contestants", nargs="+", default=["portfolio", "linas", "evolution", "random", *RIVALS])
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=BUDGET)
    options = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    for seed in range(options.seeds):
        for contestant in options.contestants:
            path = RESULTS / f"{contestant}.jsonl"
            budget = min(options.budget, LIMITS.get(contestant, options.budget))
            for table in options.tables:
                if finished(path).get((table, seed), 0) >= budget:
                    continue
                start = time.process_time()
                rows = run_contestant(contestant, load_table(table), seed, budget)
                seconds = round(time.process_time() - start, 2)
                entry = {
                    "table": table,
                    "seed": seed,
                    "budget": budget,
                    "seconds": seconds,
                    "regret": curve(table, rows, budget),
                }
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
                last = {n: f"{entry['regret'][n // EVERY - 1]:.4f}" for n in (50, 100, 200, 500) if n <= budget}
                print(f"{contestant:24} {table:18} seed {seed:2} {seconds:7.1f} s {last}", flush=True)


if __name__ == "__main__":
    main()
