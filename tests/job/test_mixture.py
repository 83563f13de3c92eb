"""A whole job with several weight sets: what was searched is what is exported, also after a stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from automl.errors import InterruptedJobError
from automl.host import Host
from automl.job import export_picked, load_supernet, run_job
from automl.job_config import JobConfig, resolve_job
from automl.run_folder import Run

pytest.importorskip("automl_vision", reason="the space of this job uses blocks of automl-vision")

SPACE = """\
space: image/places
input: image
slots:
  body: {from: input, width: 12, stride: 4, blocks: [{vision.pooled_resnet: {channels: [6, 6, 8]}}]}
output: body
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> JobConfig:
    path = tmp_path_factory.mktemp("space") / "places.yaml"
    path.write_text(SPACE)
    settings: dict[str, Any] = {
        "space": str(path),
        "strategy": "mixture",
        "strategy_options": {"models": 2},
        "objectives": ["error", "macs"],
        "searcher": "random",
        "trials": 3,
        "seed": 1,
    }
    return resolve_job(
        settings=settings,
        assignments=[
            *("training.epochs=3", "training.ema=0", "training.validation_subnets=1", "training.validation_samples=32"),
            *("evaluation.anchors=1", "evaluation.validation_samples=100"),
        ],
    )


@pytest.fixture(scope="module")
def finished(job: JobConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_job(job, tmp_path_factory.mktemp("runs") / "mixed", host=Host.load())


def test_exported_weights_are_those_of_the_assigned_set(finished: Run) -> None:
    host = Host.load()
    supernet, _, _ = load_supernet(finished, host)
    architectures = list(supernet.space.enumerate())
    assert {supernet.set_of(a) for a in architectures} == {0, 1}
    members = {m["id"]: m["architecture"] for m in finished.read_json("front.json")["members"]}
    for result in export_picked(finished, "all-front", ["safetensors"], host=host):
        architecture = supernet.space.architecture(members[result.folder.name])
        assigned = supernet.set_of(architecture)
        assert result.manifest["weight_set"] == assigned
        stored = safetensors.torch.load_file(result.paths["safetensors"])
        for number in (0, 1):
            own = dict(supernet.extract(architecture, number).named_parameters())
            same = all(torch.equal(stored[name], parameter) for name, parameter in own.items())
            assert same is (number == assigned)


def test_a_job_stopped_in_training_ends_with_the_same_sets(job: JobConfig, finished: Run, tmp_path: Path) -> None:
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 25  # in the second epoch

    with pytest.raises(InterruptedJobError):
        run_job(job, tmp_path / "mixed", host=Host.load(), stop=stop)
    resumed = run_job(job, tmp_path / "mixed", host=Host.load())
    assert resumed.path("supernet.safetensors").read_bytes() == finished.path("supernet.safetensors").read_bytes()
    first, second = (run.read_json("front.json")["members"] for run in (finished, resumed))
    assert [(m["id"], m["searched"], m["test"]) for m in first] == [(m["id"], m["searched"], m["test"]) for m in second]
