"""Why the search of a job ended, as the front tells it, and how a run goes on from there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from automl.host import Host
from automl.job import run_job
from automl.job_config import JobConfig, resolve_job
from automl.progress import SilentProgress
from automl.search import Frontier

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")


class Watching(SilentProgress):
    """Keeps what a live view is given."""

    def __init__(self) -> None:
        self.frontier: Frontier | None = None
        self.objectives: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.seen: list[int] = []

    def watch(self, frontier: Frontier, objectives: Any) -> None:
        self.frontier, self.objectives, self.seen = frontier, list(objectives), []

    def advance(self, steps: int = 1, status: str = "") -> None:
        if self.frontier is not None:
            self.seen.append(self.frontier.trials)

    def note(self, message: str) -> None:
        self.notes.append(message)

    def end(self) -> None:
        pass


def job(**settings: Any) -> JobConfig:
    assignments = [
        *("training.epochs=1", "training.validation_samples=64", "training.validation_subnets=1"),
        *("evaluation.anchors=1", "evaluation.group=3", "evaluation.validation_samples=100"),
    ]
    base = {"space": "image/tiny", "objectives": ["error", "macs"], "searcher": "random", "seed": 5}
    return resolve_job(settings={**base, **settings}, assignments=assignments)


@pytest.mark.slow
def test_a_run_that_lost_patience_says_so_and_goes_on_without_it(tmp_path: Path) -> None:
    host, progress = Host.load(), Watching()
    run = run_job(job(trials=40, patience={"gain": 0.9, "trials": 4}), tmp_path / "run", host=host, progress=progress)
    front = run.read_json("front.json")
    measured = front["trials"]["complete"]
    assert 4 <= measured < 40
    assert front["ended"]["reason"] == "patience"
    assert front["notes"][0] == {
        "kind": "ended",
        "text": f"ended after {measured} candidates: {front['ended']['message']}",
    }
    assert f"the search ended after {measured} of 40 candidates: {front['ended']['message']}" in progress.notes
    assert progress.objectives == [("error", ""), ("macs", "")]
    assert progress.seen[:measured] == list(range(1, measured + 1))

    again = Watching()
    run_job(job(trials=40, patience={"gain": 0.9, "trials": 4}), tmp_path / "run", host=host, progress=again)
    assert run.read_json("front.json") == front
    assert again.frontier is not None
    assert again.frontier.trials == measured

    run_job(job(trials=measured + 5), tmp_path / "run", host=host)
    longer = run.read_json("front.json")
    assert longer["trials"]["complete"] == measured + 5
    assert longer["ended"] == {"reason": "trials", "message": f"the trial budget of {measured + 5} was spent"}
