"""What it costs to keep a trial: milliseconds per durable record of 45 dimensions, and seconds to read 10,000 of them.

    python benchmarks/ledger.py [--trials 1000] [--slow 100] [--read 10000]

Ours (one operation per trial, synced to disk) on a journal file and on SQLite, beside Optuna with one operation per trial
on its own journal, Optuna with ``ask``/``suggest``/``tell`` on its journal and on SQLite, and a bare ``write`` + ``fsync``
of as many bytes, which is the floor. All get the disk in turns of ten trials, so load from outside meets all of them.
Two objectives, architectures of the 45-dimension space ``depth45``. Rows: ``benchmarks/results/ledger.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from spaces45 import depth45

from automl.objectives.context import cpu_name, versions
from automl.search import Ledger, Measurement
from automl.space import SearchSpace

RESULTS: Final = Path(__file__).parent / "results" / "ledger.json"
NAMES: Final = ["error", "latency"]
BUDGET_MS: Final = 2.0
TURN: Final = 10
Write = Callable[[Measurement], None]


def ours(storage: str, space: SearchSpace) -> Write:
    """Our ledger."""
    ledger = Ledger(storage, space=space, objectives=NAMES)
    return lambda measurement: ledger.append(measurement) and None


def optuna_one_operation(path: Path, space: SearchSpace) -> Write:
    """Optuna's journal, each trial created as a whole."""
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(path))), directions=["minimize"] * len(NAMES)
    )
    distributions = space.distributions()

    def write(measurement: Measurement) -> None:
        params = dict(measurement.architecture)
        trial = optuna.trial.create_trial(
            params=params,
            distributions={name: distributions[name] for name in params},
            values=measurement.values,
            user_attrs={"architecture": measurement.architecture.id},
        )
        study.add_trial(trial)

    return write


def optuna_ask_tell(storage: Any, space: SearchSpace) -> Write:
    """Optuna as its users run it: the parameters are suggested one by one."""
    study = optuna.create_study(
        storage=storage, directions=["minimize"] * len(NAMES), sampler=optuna.samplers.RandomSampler(seed=0)
    )

    def write(measurement: Measurement) -> None:
        trial = study.ask()
        space.suggest(trial)
        study.tell(trial, measurement.values)

    return write


def bare(path: Path, size: int) -> Write:
    """As many bytes, appended and synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    data = b"x" * size

    def write(measurement: Measurement) -> None:
        os.write(descriptor, data)
        os.fsync(descriptor)

    return write


def samples(space: SearchSpace, n: int) -> list[Measurement]:
    """Random measurements."""
    rng = np.random.default_rng(0)
    return [
        Measurement(
            architecture=space.sample(rng),
            values=(float(rng.random()), float(rng.random())),
            details={"seconds": float(rng.random())},
        )
        for _ in range(n)
    ]


def measure_writing(folder: Path, trials: int, slow: int) -> list[dict[str, Any]]:
    """Returns one row per way of writing."""
    space = depth45()
    measurements = samples(space, trials)
    probe = ours(f"{folder}/probe.log", space)
    before = os.path.getsize(folder / "probe.log")
    probe(measurements[0])
    size = os.path.getsize(folder / "probe.log") - before
    ways: dict[str, tuple[Write, int]] = {
        "ours, journal": (ours(f"{folder}/ours.log", space), trials),
        "ours, SQLite": (ours(f"sqlite:///{folder}/ours.db", space), slow),
        "optuna journal, one operation": (optuna_one_operation(folder / "one.log", space), trials),
        "optuna journal, ask/suggest/tell": (
            optuna_ask_tell(JournalStorage(JournalFileBackend(f"{folder}/ask.log")), space),
            slow,
        ),
        "optuna SQLite, ask/suggest/tell": (optuna_ask_tell(f"sqlite:///{folder}/ask.db", space), slow),
        "write + fsync of as many bytes": (bare(folder / "bare", size), trials),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for start in range(0, trials, TURN):
        for name, (write, limit) in ways.items():
            for measurement in measurements[start : min(start + TURN, limit)]:
                wall, processor = time.perf_counter(), time.process_time()
                write(measurement)
                times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    rows = []
    for name, taken in times.items():
        wall, processor = 1000 * np.array(taken).T
        rows.append(
            {
                "what": name,
                "trials": len(taken),
                "bytes": size,
                "wall_ms_median": float(np.median(wall)),
                "wall_ms_mean": float(wall.mean()),
                "wall_ms_p95": float(np.quantile(wall, 0.95)),
                "processor_ms_mean": float(processor.mean()),
            }
        )
    return rows


def measure_reading(folder: Path, trials: int) -> list[dict[str, Any]]:
    """Returns seconds from opening a ledger to having all its measurements, and the same for Optuna."""
    space = depth45()
    path = folder / "read.log"
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        for measurement in samples(space, trials):
            ledger.append(measurement)
    rows = []
    for _ in range(3):
        start = time.perf_counter()
        with Ledger(path, space=space, objectives=NAMES) as ledger:
            assert len(ledger.read()) == trials
        rows.append({"what": "ours", "read": trials, "seconds": time.perf_counter() - start})
        start = time.perf_counter()
        study = optuna.load_study(study_name="search", storage=JournalStorage(JournalFileBackend(str(path))))
        assert len(study.get_trials(deepcopy=False)) == trials
        rows.append({"what": "optuna journal", "read": trials, "seconds": time.perf_counter() - start})
    return rows


def main() -> None:
    """Measures, prints the tables and writes the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="trials of the ways that write once per trial")
    parser.add_argument("--slow", type=int, default=100, help="trials of the ways that write once per parameter")
    parser.add_argument("--read", type=int, default=10_000, help="trials of the ledger that is read")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    context: dict[str, Any] = {
        "cpu": cpu_name(),
        "versions": versions("numpy", "optuna", "sqlalchemy"),
        "options": {name: str(value) for name, value in vars(options).items() if name != "output"},
        "load": os.getloadavg(),
    }
    print(json.dumps(context), flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        writing = measure_writing(Path(folder), options.trials, options.slow)
        reading = measure_reading(Path(folder), options.read)
    context["load at the end"] = os.getloadavg()
    own, floor = writing[0]["wall_ms_median"], writing[-1]["wall_ms_median"]
    print(
        f"{'one trial of 45 dimensions':34} {'median ms':>10} {'mean ms':>9} {'95 % ms':>9} {'cpu ms':>8} {'÷ ours':>8}"
    )
    for row in writing:
        verdict = ""
        if row is writing[0]:
            verdict = "  within budget" if own <= BUDGET_MS else f"  OVER {BUDGET_MS} ms, of which the disk {floor:.2f}"
        print(
            f"{row['what']:34} {row['wall_ms_median']:10.3f} {row['wall_ms_mean']:9.3f} {row['wall_ms_p95']:9.3f}"
            f" {row['processor_ms_mean']:8.3f} {row['wall_ms_median'] / own:8.2f}{verdict}"
        )
    for what in ("ours", "optuna journal"):
        best = min(row["seconds"] for row in reading if row["what"] == what)
        print(f"reading {options.read} trials, {what}: {best:.2f} s")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    content = {"context": context, "writing": writing, "reading": reading}
    options.output.write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
