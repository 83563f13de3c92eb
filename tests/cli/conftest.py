"""The command in this process, and a finished run in the schema of run folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from automl_cli.main import run

from automl.job_config import JobConfig
from automl.search.ledger import Ledger
from automl.search.measurement import Measurement
from automl.space import Ordinal, SearchSpace


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def automl(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Returns a function that runs the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("AUTOML_RUNS", raising=False)

    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call


@pytest.fixture
def finished_run(tmp_path: Path) -> Path:
    """Returns ``runs/done``, a run with three members on its front."""
    folder = tmp_path / "runs" / "done"
    folder.mkdir(parents=True)
    job = JobConfig(objectives=["error", "macs"])
    (folder / "job.yaml").write_text(yaml.safe_dump(job.to_dict()))
    space = SearchSpace.build({"stem.width": Ordinal(8, 16, 24)})
    values = {8: (0.09, 1_000.0), 16: (0.05, 30_000.0), 24: (0.04, 900_000.0)}
    members: list[dict[str, Any]] = []
    with Ledger(folder / "ledger.log", space=space, objectives=["error", "macs"]) as ledger:
        for number, architecture in enumerate(space.enumerate()):
            pair = values[int(architecture["stem.width"])]
            ledger.append(Measurement(architecture=architecture, values=pair))
            named = dict(zip(("error", "macs"), pair, strict=True))
            members.append(
                {
                    "id": architecture.id,
                    "kind": "subnet",
                    "number": number,
                    "architecture": dict(architecture),
                    "searched": named,
                    "measured": {name: {"value": value, "low": None, "high": None} for name, value in named.items()},
                    "test": {"error": pair[0] + 0.01, "loss": 0.3},
                    "feasible": True,
                }
            )
    front = {
        "objectives": [{"name": "error", "unit": ""}, {"name": "macs", "unit": ""}],
        "members": members,
        "picks": {"knee": members[1]["id"], "best:error": members[2]["id"], "best:macs": members[0]["id"]},
        "hypervolume": 1.0,
        "reference": [0.1, 1e6],
        "context": {},
        "machine": {"cpu": "Example CPU"},
        "job": {"space": "image/tiny", "seed": 0},
        "trials": {"complete": 3, "failed": 0, "seconds": 1.5},
    }
    (folder / "front.json").write_text(json.dumps(front))
    return folder
