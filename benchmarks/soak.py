"""Long searches full of failures: what every searcher costs and holds after 10,000 candidates, and that none comes twice.

    python benchmarks/soak.py [--trials 10000] [--searchers aging evolution] [--seconds 1800]

Every registered searcher with its default options runs through the ordinary search loop (ledger on disk, state saved after
every group) on the conditional space of 45 dimensions (``depth45``), two objectives and one constraint, asked for five
candidates at a time. Of the candidates 10 % raise, 4 % time out, 4 % return NaN, 2 % infinity. Each searcher has a process
of its own. Those whose cost grows with the cube of the history, or that fit a model for every candidate, run for as many
candidates as ``FEWER`` says.

Checked: exactly as many candidates as asked for, none twice, each canonical and allowed, every injected failure recorded as
a failure with its reason. Printed: processor milliseconds of ask + tell per candidate over the last tenth before 100, 1,000
and 10,000 candidates; resident memory per candidate over the first and the second half of the search, which are alike where
it grows linearly (the ledger's records, which the loop keeps, are part of it); size of the saved state. One that uses up
its seconds stops early, and the table says where. Rows: ``benchmarks/results/soak.json``, one for each searcher; a new one
replaces the earlier one of its searcher.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from spaces45 import depth45

from automl.atomic_write import write_atomically
from automl.host import Host
from automl.objectives.context import cpu_name, versions
from automl.search import Ledger, Measurement, Outcome, Searcher, run_search
from automl.space import Architecture, SearchSpace

RESULTS: Final = Path(__file__).parent / "results" / "soak.json"
CHECKPOINTS: Final = (100, 1000, 10_000)
FEWER: Final = {"bayes": 300, "optuna": 1000}
GROUP: Final = 5
FAILURES: Final = {"raised": 0.10, "timed out": 0.04, "nan": 0.04, "infinite": 0.02}


class Problem:
    """Two conflicting sums over the positions, a limit on one of them, and the failures, all decided by the architecture."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._weights = np.random.default_rng(0).random((2, len(space.names)))
        self.injected = dict.fromkeys(FAILURES, 0)

    def __call__(self, architectures: Sequence[Architecture]) -> Iterator[Outcome]:
        """Measures one architecture after the other."""
        for architecture in architectures:
            fate = int(architecture.id, 16) % 10_000 / 10_000
            kind = self._fate(fate)
            if kind is not None:
                self.injected[kind] += 1
            if kind == "raised":
                raise MemoryError("out of memory")
            if kind == "timed out":
                raise TimeoutError("no answer within 60 s")
            positions = self._space.to_indices([architecture])[0] + 1.0
            error = float(10 - np.sqrt(positions) @ self._weights[0] / 3)
            cost = float(positions**1.5 @ self._weights[1])
            first = {"nan": float("nan"), "infinite": float("inf")}.get(kind or "", error)
            yield Outcome(values=(first, cost), violations=(max(0.0, cost - 60),))

    @staticmethod
    def _fate(share: float) -> str | None:
        for kind, part in FAILURES.items():
            if share < part:
                return kind
            share -= part
        return None


class Timed(Searcher):
    """A searcher whose processor time is counted."""

    def __init__(self, inner: Searcher) -> None:
        self.inner = inner
        self.processor = 0.0
        self.asked = 0
        self.marks: list[tuple[int, float, int]] = [(0, 0.0, resident())]

    def ask(self, n: int) -> list[Architecture]:
        start = time.process_time()
        answer = self.inner.ask(n)
        self.processor += time.process_time() - start
        self.asked += len(answer)
        return answer

    def tell(self, results: Sequence[Measurement]) -> None:
        start = time.process_time()
        self.inner.tell(results)
        self.processor += time.process_time() - start
        self.marks.append((self.asked, self.processor, resident()))

    def state(self) -> dict[str, Any]:
        return self.inner.state()

    def restore(self, state: dict[str, Any], history: Sequence[Measurement]) -> None:
        self.inner.restore(state, history)

    def milliseconds(self, checkpoint: int) -> float | None:
        """Per candidate, over the last tenth before a number of candidates."""
        until = [mark for mark in self.marks if mark[0] <= checkpoint]
        if until[-1][0] < 0.9 * checkpoint:
            return None
        start = min(until[:-1], key=lambda mark: abs(mark[0] - 0.9 * checkpoint))
        return 1000 * (until[-1][1] - start[1]) / (until[-1][0] - start[0])

    def bytes_per_candidate(self, start: float, end: float) -> float:
        """Growth of the resident memory between two shares of the search."""
        a, b = (min(self.marks, key=lambda mark, s=s: abs(mark[0] - s * self.asked)) for s in (start, end))
        return (b[2] - a[2]) / max(1, b[0] - a[0])


def resident() -> int:
    """Resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def soak(name: str, trials: int, seconds: float) -> dict[str, Any]:
    """Runs one searcher and checks its history; returns the row."""
    space = depth45()
    problem = Problem(space)
    searcher = Timed(Host.load().find("searcher", name).load()(space, objectives=2, seed=1))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        state_file = Path(folder) / "searcher.json"
        with Ledger(Path(folder) / "ledger.log", space=space, objectives=["error", "cost"]) as ledger:
            history = run_search(
                space,
                searcher,
                problem,
                ledger,
                trials=trials,
                group_size=GROUP,
                state_file=state_file,
                stop=lambda: searcher.processor > seconds,
            )
        state = state_file.stat().st_size
    check(space, history, problem, trials if searcher.processor <= seconds else None)
    return {
        "searcher": name,
        "trials": len(history),
        "wanted": trials,
        "failed": sum(m.values is None for m in history),
        "injected": problem.injected,
        "ms": {str(c): searcher.milliseconds(c) for c in (*CHECKPOINTS, len(history))},
        "bytes_first_half": searcher.bytes_per_candidate(0.1, 0.5),
        "bytes_second_half": searcher.bytes_per_candidate(0.5, 1.0),
        "state_bytes": state,
        "wall_s": time.monotonic() - began,
    }


def check(space: SearchSpace, history: Sequence[Measurement], problem: Problem, trials: int | None) -> None:
    """Ends the benchmark where a promise is broken."""
    architectures = [m.architecture for m in history]
    require(len(set(architectures)) == len(architectures), "an architecture was measured twice")
    require(trials is None or len(history) == trials, f"{len(history)} instead of {trials} candidates")
    require(
        all(space.architecture(a) == a and space.allows(a) for a in architectures), "one is not canonical or allowed"
    )
    failed = [m for m in history if m.values is None]
    require(len(failed) == sum(problem.injected.values()), f"{len(failed)} failures, injected {problem.injected}")
    require(all(m.failure for m in failed), "a failure has no reason")


def require(condition: bool, message: str) -> None:
    """Ends the process with a message unless the condition holds; also under ``-O``."""
    if not condition:
        raise SystemExit(f"broken promise: {message}")


def print_row(row: dict[str, Any]) -> None:
    """Prints one line of the table."""
    cells = [row["ms"].get(str(c)) for c in CHECKPOINTS]
    line = f"{row['searcher']:20} {row['trials']:6} {row['failed']:6}"
    line += "".join(f" {cell:10.3f}" if cell is not None else f" {'–':>10}" for cell in cells)
    line += f" {row['ms'][str(row['trials'])]:10.3f}"
    line += f" {row['bytes_first_half'] / 1024:9.2f} {row['bytes_second_half'] / 1024:9.2f} {row['state_bytes'] / 1024:9.1f}"
    print(line + ("" if row["trials"] == row["wanted"] else "  stopped early"), flush=True)


def main() -> None:
    """Runs every searcher in a process of its own and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(Host.load().components("searcher"))
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--searchers", nargs="+", choices=known, default=known)
    parser.add_argument("--seconds", type=float, default=1800.0, help="longest processor time of ask and tell")
    parser.add_argument("--output", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print("row=" + json.dumps(soak(options.one, options.trials, options.seconds)))
        return
    context = {
        "cpu": cpu_name(),
        "versions": versions("numpy", "optuna", "torch", "botorch"),
        "threads": os.environ["OMP_NUM_THREADS"],
        "load": os.getloadavg(),
    }
    print(json.dumps(context))
    print(
        f"{'searcher':20} {'trials':>6} {'failed':>6} {'ms @100':>10} {'ms @1k':>10} {'ms @10k':>10} {'ms @end':>10} "
        f"{'kB/trial':>9} {'kB later':>9} {'state kB':>9}"
    )
    stored = json.loads(options.output.read_text(encoding="utf-8")) if options.output.is_file() else {"rows": []}
    rows: list[dict[str, Any]] = stored["rows"]
    for name in options.searchers:
        trials = min(options.trials, FEWER.get(name, options.trials))
        command = [sys.executable, __file__, "--one", name, "--trials", str(trials), "--seconds", str(options.seconds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: the soak ended with code {done.returncode}.")
        rows = [row for row in rows if row["searcher"] != name]
        rows.append({**json.loads(done.stdout.split("row=")[-1]), "context": context})
        print_row(rows[-1])
        write_atomically(options.output, json.dumps({"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
