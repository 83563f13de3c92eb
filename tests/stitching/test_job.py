"""Jobs of stitched networks through the library: resumed jobs equal undisturbed ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from automl.errors import InterruptedJobError
from automl.host import Host
from automl.job import run_job
from automl.job_config import JobConfig, resolve_job
from automl.stitching.job import SETTINGS, stitched_space
from automl.yaml_file import read_yaml

MODULE = """
from torch import nn


def net(width=5):
    blocks = [nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU()) for _ in range(3)]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), *blocks, nn.Linear(width, 10))


def large():
    return net(13)
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JobConfig:
    """Returns the job of two anchors with batch norm."""
    name = f"anchors_{abs(hash(tmp_path)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    namespace: dict[str, Any] = {}
    exec(MODULE, namespace)
    torch.manual_seed(1)
    anchors = []
    for factory in ("net", "large"):
        save_file(namespace[factory]().state_dict(), tmp_path / f"{factory}.safetensors")
        anchors.append(f"{name}:{factory}={tmp_path / factory}.safetensors")
    space = stitched_space(anchors, {}, Path)
    space.write(tmp_path / "space.yaml", overwrite=False)
    assert "sha256" in (tmp_path / "space.yaml").read_text()
    settings = {**json.loads(json.dumps(SETTINGS)), "space": str(tmp_path / "space.yaml"), "data": "digits"}
    assignments = ["training.epochs=2", "training.validation_samples=32", "evaluation.anchors=1", "evaluation.group=2"]
    return resolve_job(settings=settings, assignments=assignments)


def test_a_job_that_is_stopped_in_training_and_in_search_ends_like_one_that_is_not(
    job: JobConfig, tmp_path: Path
) -> None:
    host = Host.load()
    calm = run_job(job, tmp_path / "calm", host=host)
    for steps in (20, 19, 2):  # in the second epoch; after its 17 steps, in the search; later in the search
        asked = iter([False] * steps + [True] * 1000)
        with pytest.raises(InterruptedJobError):
            run_job(job, tmp_path / "rough", host=host, stop=lambda asked=asked: next(asked))  # type: ignore[misc]
    rough = run_job(job, tmp_path / "rough", host=host)
    names = ("supernet.safetensors", "split.json", "space.json")
    assert all(calm.path(name).read_bytes() == rough.path(name).read_bytes() for name in names)
    fronts = [run.read_json("front.json") for run in (calm, rough)]
    for front in fronts:
        front["trials"].pop("seconds")
    assert fronts[0] == fronts[1]
    assert fronts[0]["trials"]["complete"] == 2 + 7


def test_weights_that_change_under_a_job_are_noticed(job: JobConfig, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(Exception, match=r"space.yaml:.*anchors.0: .*the weights are not those that were stitched"):
        run_job(job, tmp_path / "run", host=Host.load())
    assert not (tmp_path / "run").exists()


def test_a_space_file_that_differs_is_not_overwritten_unasked(job: JobConfig, tmp_path: Path) -> None:
    anchors = read_yaml(tmp_path / "space.yaml").data["anchors"]
    texts = [f"{anchor['module']}={anchor['weights']}" for anchor in anchors]
    other = stitched_space(texts, {"kernel": 3}, Path)
    with pytest.raises(Exception, match="holds other anchors or options"):
        other.write(tmp_path / "space.yaml", overwrite=False)
    other.write(tmp_path / "space.yaml", overwrite=True)
    assert read_yaml(tmp_path / "space.yaml").data["kernel"] == 3
