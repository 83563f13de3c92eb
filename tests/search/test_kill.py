"""``kill -9`` for real: a process that searches is killed at random moments and started again until it is done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from automl.search import Ledger, Measurement
from automl.testing.problems import large_space

SCRIPT = """
import sys, time
from pathlib import Path
from automl.search import Evolution, Ledger, OptunaSampler, Outcome, run_search
from automl.testing.problems import error_and_cost, large_space

folder, name, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
space = large_space()

def evaluate(architectures):
    for architecture in architectures:
        time.sleep(pause)
        yield Outcome(values=error_and_cost(architecture))

searcher = (
    Evolution(space, objectives=2, seed=1)
    if name == "evolution"
    else OptunaSampler(space, objectives=2, seed=1, sampler=name)
)
with Ledger(folder / "ledger.log", space=space, objectives=["error", "cost"]) as ledger:
    print("ready", flush=True)
    run_search(
        space, searcher, evaluate, ledger, trials=120, group_size=3, state_file=folder / "searcher.json"
    )
"""


def launch(folder: Path, name: str, pause: float) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "PYTHONHASHSEED": "random"}
    command = [sys.executable, "-c", SCRIPT, str(folder), name, str(pause)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def history(folder: Path) -> list[Measurement]:
    with Ledger(folder / "ledger.log", space=large_space(), objectives=["error", "cost"], read_only=True) as ledger:
        return ledger.read()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["evolution", "NSGAIISampler"])
def test_killed_at_random_moments_the_history_is_the_same(name: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = launch(tmp_path / "whole", name, 0.0)
    assert whole.communicate()
    assert whole.returncode == 0
    rng = np.random.default_rng(2)
    kills = 0
    for _ in range(60):
        process = launch(tmp_path / "killed", name, 0.004 if kills < 6 else 0.0)
        assert process.stdout is not None
        process.stdout.readline()
        if kills < 6:
            time.sleep(float(rng.uniform(0.0, 0.12)))
            process.kill()
        process.communicate()
        if process.returncode == 0:
            break
        kills += 1
    assert kills >= 4
    outlines = [[(m.number, m.architecture, m.values) for m in history(tmp_path / f)] for f in ("whole", "killed")]
    assert len(outlines[0]) == 120
    assert outlines[0] == outlines[1]
