"""Training strategies side by side: errors of small, random and large subnetworks, ranking, and cost of an epoch.

    python benchmarks/strategies.py [--epochs 40] [--seeds 0 1 2] [--strategies sandwich sorted] [--spaces image/tiny]
        [--subnets 20] [--standalone-epochs 40] [--data digits] [--output FILE]

For each space and seed, random subnetworks are trained alone once; Kendall's tau of a strategy is that of its supernet's
errors on them against those. Errors are of extracted, calibrated subnetworks on the validation part. The cost of an epoch is
processor time over that of ``single-path``, the median of trainings of one epoch that alternate between the two. Data are the
built-in digits or what ``--data`` names, other settings the defaults of a job. Every row is in
``benchmarks/results/strategies.jsonl`` as soon as it is measured; rows that are there are not measured again, so the same
command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

from rows import Row, Rows, machine

from automl.errors import ConfigError, UserError
from automl.host import Host
from automl.job.opened import task_and_supernet
from automl.job.parts import JobParts, resolve_parts
from automl.job.rank_agreement import rank_correlation
from automl.job.rank_check import LEAST, drawn_subnets, standalone_error, subnet_errors
from automl.job_config import JobConfig, resolve_job
from automl.training import train

RESULTS: Final = Path(__file__).parent / "results" / "strategies.jsonl"
REFERENCE: Final = "single-path"
REPEATS: Final = 3


def job_of(space: str, strategy: str, seed: int, epochs: int, data: str) -> JobConfig:
    """The default job with one space, strategy, seed and data set."""
    settings = {"space": space, "strategy": strategy, "seed": seed, "objectives": ["error"], "data": data}
    return resolve_job(settings=settings, assignments=[f"training.epochs={epochs}", "training.validation_subnets=1"])


def standalone(space: str, seed: int, options: argparse.Namespace, host: Host, rows: Rows) -> list[Row]:
    """Rows of the subnetworks of a space that are trained alone."""
    epochs = options.standalone_epochs or options.epochs
    job = job_of(space, REFERENCE, seed, epochs, options.data)
    task, untrained = task_and_supernet(job, resolve_parts(job, host), host)
    found = []
    for architecture in drawn_subnets(untrained.space, options.subnets, seed):
        key = {"kind": "standalone", "space": space, "seed": seed, "epochs": epochs, "id": architecture.id}
        key["data"] = Path(options.data).stem
        row = rows.find(key)
        if row is None:
            with tempfile.TemporaryDirectory() as folder:
                error = standalone_error(untrained, task, architecture, job, epochs, Path(folder))
            row = {**key, "architecture": dict(architecture), "error": error}
            rows.add(row)
            print(f"{space} seed {seed}: {architecture.id} alone: error {error:.4f}", flush=True)
        found.append(row)
    return found


def epoch_seconds(job: JobConfig, parts: JobParts, host: Host) -> float:
    """Processor time of a training of one epoch, validation included."""
    task, supernet = task_and_supernet(job, parts, host)
    config = job.training.model_copy(update={"epochs": 1, "validation_samples": 2, "calibration_samples": 2})
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        train(supernet, task, config, strategy=parts.strategy, folder=Path(folder), seed=job.seed, device="cpu")
        return time.process_time() - started


def measure(job: JobConfig, alone: Sequence[Row], host: Host) -> Row:
    """Trains one supernet and measures it."""
    parts = resolve_parts(job, host)
    reference = job_of(job.space, REFERENCE, job.seed, job.training.epochs, job.data or "digits")
    reference_parts = resolve_parts(reference, host)
    ratios = [epoch_seconds(job, parts, host) / epoch_seconds(reference, reference_parts, host) for _ in range(REPEATS)]
    task, supernet = task_and_supernet(job, parts, host)
    with tempfile.TemporaryDirectory() as folder:
        history = train(
            supernet,
            task,
            job.training,
            strategy=parts.strategy,
            folder=Path(folder),
            seed=job.seed,
            device="cpu",
        )
    space = supernet.space
    architectures = [space.canonical(row["architecture"]) for row in alone]
    smallest, largest, *drawn = subnet_errors(supernet, task, [space.smallest(), space.largest(), *architectures], job)
    tau = rank_correlation(drawn, [row["error"] for row in alone], "kendall", seed=job.seed)
    return {
        "smallest": smallest,
        "random": statistics.mean(drawn),
        "largest": largest,
        "tau": tau.value,
        "tau_low": tau.low,
        "tau_high": tau.high,
        "epoch_cost": statistics.median(ratios),
        "seconds_per_epoch": statistics.median(record["seconds"] for record in history),
        "machine": machine(),
    }


def print_table(rows: Sequence[Row], spaces: Sequence[str]) -> None:
    """Prints means over the seeds, with the range where there are several."""
    columns = ("smallest", "random", "largest", "tau", "epoch_cost")
    for space in spaces:
        print(f"\n{space}\n{'strategy':14}" + "".join(f"{name:>24}" for name in columns))
        for strategy in dict.fromkeys(row["strategy"] for row in rows if row["space"] == space):
            own = [row for row in rows if (row["space"], row["strategy"]) == (space, strategy)]
            print(f"{strategy:14}" + "".join(f"{_cell([row[name] for row in own]):>24}" for name in columns))


def _cell(values: Sequence[float]) -> str:
    spread = f" [{min(values):.3f}, {max(values):.3f}]" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def main() -> None:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--strategies", nargs="+", help="left out: all that fit a space")
    parser.add_argument("--spaces", nargs="+", default=["image/tiny", "image/hybrid"])
    parser.add_argument("--subnets", type=int, default=20, help="random subnetworks, measured and trained alone")
    parser.add_argument("--standalone-epochs", type=int, help="of each training alone; left out: --epochs")
    parser.add_argument("--data", default="digits", help="built-in data, or a path")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.subnets < LEAST:
        parser.error(f"--subnets {options.subnets}: a ranking needs at least {LEAST}.")
    host = Host.load()
    strategies = options.strategies or sorted(host.components("strategy"))
    try:
        rows = Rows(options.output)
        for space in options.spaces:  # mistakes show before anything is trained
            for strategy in strategies:
                resolve_parts(job_of(space, strategy, 0, options.epochs, options.data), host)
        shown = []
        for space in options.spaces:
            for seed in options.seeds:
                alone = standalone(space, seed, options, host, rows)
                for strategy in strategies:
                    key = {
                        "kind": "strategy",
                        "space": space,
                        "strategy": strategy,
                        "seed": seed,
                        "epochs": options.epochs,
                        "subnets": len(alone),
                        "standalone_epochs": alone[0]["epochs"],
                        "data": alone[0]["data"],
                    }
                    row = rows.find(key)
                    if row is None:
                        job = job_of(space, strategy, seed, options.epochs, options.data)
                        try:
                            row = {**key, **measure(job, alone, host)}
                        except ConfigError as error:
                            if options.strategies:
                                raise
                            print(f"{space}: {strategy} is left out: {error}", flush=True)
                            continue
                        rows.add(row)
                        print(f"{space} seed {seed}: {strategy}: done", flush=True)
                    shown.append(row)
    except UserError as error:
        parser.error(str(error))
    print_table(shown, options.spaces)


if __name__ == "__main__":
    main()
