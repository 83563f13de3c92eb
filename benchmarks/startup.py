"""What the command costs before it does anything: seconds of ``automl --help`` beside a bare ``import torch``.

    python benchmarks/startup.py [--repeats 15]

Fresh processes in turns, after one unmeasured turn that fills the file cache. Rows: ``benchmarks/results/startup.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from automl.objectives.context import cpu_name, versions
from automl.objectives.timing import median_interval

RESULTS: Final = Path(__file__).parent / "results" / "startup.json"
BUDGET_SECONDS: Final = 0.4
COMMANDS: Final = {
    "automl --help": [sys.executable, "-m", "automl_cli", "--help"],
    "import torch": [sys.executable, "-c", "import torch"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


def main() -> None:
    """Measures, prints and stores the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="timed turns")
    repeats = parser.parse_args().repeats
    load = os.getloadavg()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(repeats + 1):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    peer = statistics.median(seconds["import torch"])
    rows = []
    for name, times in seconds.items():
        median, low, high, _ = median_interval(times)
        rows.append(
            {"command": name, "seconds": median, "low": low, "high": high, "ratio to import torch": median / peer}
        )
        verdict = (
            f"  budget ≤ {BUDGET_SECONDS} s  {'met' if high <= BUDGET_SECONDS else 'NOT MET'}" if "help" in name else ""
        )
        print(f"{name:16} {median:.3f} s  [{low:.3f}, {high:.3f}]  {median / peer:.2f} × import torch{verdict}")
    context = {"cpu": cpu_name(), "versions": versions("torch", "typer", "rich"), "repeats": repeats, "load": load}
    RESULTS.write_text(json.dumps({"context": context, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
