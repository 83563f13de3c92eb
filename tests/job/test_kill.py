"""`kill -9` at any moment, then the same command: nothing is lost and the history is the one of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = [
    *("search", "--space", "image/tiny", "--name", "run", "--seed", "3"),
    *("--objective", "error", "--objective", "macs", "--epochs", "7", "--trials", "48"),
    *("--set", "evaluation.group=4", "--set", "training.validation_samples=64", "--set", "evaluation.anchors=1"),
]
KILLS_IN_TRAINING = 6
KILLS_IN_SEARCH = 6


def _run_afresh(folder: Path) -> None:
    """Runs the command in a fresh process: its imports, and the order of its sets, are no other's."""
    done = subprocess.run(
        [sys.executable, "-m", "automl_cli", *COMMAND],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _kill_after_progress(commands: Any, folder: Path, file: str, delays: Iterator[float], times: int) -> int:
    """Starts the command so often, each time killing it a random moment after the file has changed."""
    kills = 0
    while kills < times:
        before = _stamp(folder / "runs/run" / file)
        commands.start(folder, COMMAND)
        while commands.running() and _stamp(folder / "runs/run" / file) == before:
            time.sleep(0.01)
        time.sleep(next(delays))
        code = commands.kill()
        assert code in (0, -signal.SIGKILL), (folder / "log").read_text()
        if code == 0:
            break
        kills += 1
    return kills


def _history(folder: Path) -> list[tuple[str, Any, Any]]:
    """What the ledger holds, read by Optuna alone."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / "runs/run/ledger.log")))
    (study,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=study, storage=storage).trials
    return [(t.number, t.params, t.values) for t in trials]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_run_that_is_killed_again_and_again_equals_one_that_never_was(commands: Any, tmp_path: Path) -> None:
    calm, rough = tmp_path / "calm", tmp_path / "rough"
    calm.mkdir()
    rough.mkdir()
    _run_afresh(calm)

    rng = random.Random(5)
    in_training = _kill_after_progress(
        commands, rough, "training.ckpt", iter(lambda: rng.uniform(0, 0.8), None), KILLS_IN_TRAINING
    )
    in_search = _kill_after_progress(
        commands, rough, "ledger.log", iter(lambda: rng.uniform(0, 0.3), None), KILLS_IN_SEARCH
    )
    assert in_training + in_search >= 10, (in_training, in_search)
    _run_afresh(rough)

    for name in ("supernet.safetensors", "split.json"):
        assert (calm / "runs/run" / name).read_bytes() == (rough / "runs/run" / name).read_bytes(), name
    assert _history(calm) == _history(rough)
    assert len(_history(calm)) == 48
    fronts = [json.loads((folder / "runs/run/front.json").read_text()) for folder in (calm, rough)]
    for front in fronts:
        front["trials"].pop("seconds")
    assert fronts[0] == fronts[1]
    assert fronts[0]["members"]
