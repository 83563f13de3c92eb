"""How well predicted latency agrees with measured latency, beside how well a measurement agrees with itself.

    python benchmarks/latency.py [--runtimes eager onnxruntime] [--resolutions 96] [--count 30] [--space image/mobile]

Weights are random: they decide no latency. Blocks are timed anew in a fresh cache, then ``--count`` random networks that the
correction has not seen are measured twice, interleaved, ``--repeats`` visits each. The networks of the correction are
measured beside them and tell how fast the machine is by then. Goal: Kendall tau at least 0.95 and a median relative error
of at most 7 % at that speed; the error at the old speed is stored as well. A machine whose repeated measurement misses the
goal cannot show it. Rows: ``benchmarks/results/latency.json``; a row of the same space, runtime and resolution is replaced.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Final

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from automl.host import Host
from automl.job.latency_study import LatencyStudy
from automl.objectives.context import cpu_name, versions

RESULTS: Final = Path(__file__).parent / "results" / "latency.json"
TAU, ERROR = 0.95, 0.07


def images(folder: Path, resolution: int) -> str:
    """Writes colour noise in ten classes and returns its path."""
    rng = np.random.default_rng(0)
    path = folder / f"noise{resolution}.npz"
    np.savez(path, x=rng.integers(0, 256, (40, resolution, resolution, 3), dtype=np.uint8), y=np.arange(40) % 10)
    return str(path)


def measure(space: str, runtime: str, resolution: int, count: int, seed: int, repeats: int) -> dict[str, Any]:
    """Returns the row of one runtime and resolution."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = {"runtime": runtime, "cache": str(folder / "cache")}
        study = LatencyStudy.open(Host.load(), space, data=images(folder, resolution), options=options)
        start = time.perf_counter()
        profile = study.profile()
        seconds = time.perf_counter() - start
        check = study.check(count, seed, repeats)
    return {
        "space": space,
        "runtime": runtime,
        "resolution": resolution,
        "networks": count,
        "repeats": repeats,
        "blocks": profile["blocks"],
        "profiling_seconds": round(seconds, 1),
        "correction": profile["correction"],
        **{key: check[key] for key in ("predicted", "adjusted", "machine", "repeated", "inside", "range")},
        "rows": check["rows"],
    }


def main() -> None:
    """Measures, prints a table and stores the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="image/mobile")
    parser.add_argument("--runtimes", nargs="+", default=["eager", "onnxruntime"])
    parser.add_argument("--resolutions", nargs="+", type=int, default=[96])
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.output.is_file():
        rows = json.loads(options.output.read_text(encoding="utf-8"))["results"]
    print(f"{'runtime':12} {'pixels':>6} {'blocks':>6} {'profile':>8} {'range':>15} {'tau':>6} {'error':>7}   repeated")
    for runtime in options.runtimes:
        for resolution in options.resolutions:
            row = measure(options.space, runtime, resolution, options.count, options.seed, options.repeats)
            rows = [old for old in rows if any(old[key] != row[key] for key in ("space", "runtime", "resolution"))] + [
                row
            ]
            predicted, repeated = row["adjusted"], row["repeated"]
            met = predicted["tau"] >= TAU and predicted["error"] <= ERROR
            low, high = row["range"]
            machine = f"machine {row['machine']:.2f} x"
            print(
                f"{runtime:12} {resolution:6} {row['blocks']:6} {row['profiling_seconds']:6.0f} s {low:5.1f} to {high:4.1f} ms "
                f"{predicted['tau']:6.3f} {100 * predicted['error']:6.1f} % ({machine})  tau {repeated['tau']:.3f}, error "
                f"{100 * repeated['error']:.1f} %   {'goal met' if met else 'goal missed'}",
                flush=True,
            )
            content = {
                "machine": cpu_name(),
                "versions": versions("torch", "onnxruntime", "automl-supernets"),
                "goal": {"tau": TAU, "error": ERROR},
                "results": rows,
            }
            options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
