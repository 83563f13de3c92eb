from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from automl.host import Host
from automl.job import resolve_parts
from automl.job.opened import open_ledger
from automl.job_config import JobConfig
from automl.run_folder import Run
from automl.search import Measurement
from automl.space import SearchSpace
from automl.supernet import build_supernet

Automl = Callable[..., Any]


@pytest.fixture
def searched(tmp_path: Path) -> SearchSpace:
    """Writes ``runs/wide``, whose search has measured 60 architectures without ``reduce.width`` 8; returns its space."""
    job = JobConfig(space="image/tiny", objectives=["error", "macs"])
    parts = resolve_parts(job, Host.load())
    supernet = build_supernet(parts.skeleton, parts.task.load(parts.data, seed=0), Host.load())
    space, rng = supernet.space, np.random.default_rng(0)
    run = Run.start(tmp_path / "runs" / "wide", job)
    drawn = dict.fromkeys(space.sample(rng) for _ in range(120))
    with open_ledger(run, parts, supernet) as ledger:
        for position, architecture in enumerate([a for a in drawn if a["reduce.width"] != 8][:60]):
            values = None if position == 7 else (0.1, float(position))
            ledger.append(Measurement(architecture=architecture, values=values, failure=None if values else "broken"))
    return space


def test_the_written_space_passes_check_and_holds_what_was_kept(automl: Automl, searched: SearchSpace) -> None:
    ended = automl("reduce", "wide", "--threshold", "0", "--output", "narrow.yaml")
    assert ended.code == 0, ended.err
    assert "reduce.width" in ended.out
    assert "8 (0.0%)" in ended.out
    content = yaml.safe_load(Path("narrow.yaml").read_text())
    assert content["only"] == {"reduce.width": [16, 32, 64]}
    checked = automl("check", "narrow.yaml", "--json")
    assert checked.code == 0, checked.err
    smaller = searched.size() * 3 // 4
    assert checked.json["architectures"] == smaller
    assert f"{searched.size():,} → {smaller:,}" in ended.out
    shown = automl("spaces", "narrow.yaml", "--json").json
    assert shown["dimensions"]["reduce.width"]["choices"] == [16, 32, 64]


def test_a_narrower_space_can_be_narrowed_again(automl: Automl, searched: SearchSpace, tmp_path: Path) -> None:
    assert automl("reduce", "wide", "--threshold", "0", "--output", "narrow.yaml").code == 0
    Run.start(tmp_path / "runs" / "narrow", JobConfig(space=str(tmp_path / "narrow.yaml"), objectives=["macs"]))
    run = Run.open(tmp_path / "runs" / "narrow")
    parts = resolve_parts(run.job, Host.load())
    supernet = build_supernet(parts.skeleton, parts.task.load(parts.data, seed=0), Host.load())
    rng = np.random.default_rng(0)
    drawn = dict.fromkeys(supernet.space.sample(rng) for _ in range(300))
    with open_ledger(run, parts, supernet) as ledger:
        for architecture in [a for a in drawn if a["stem.width"] == 8][:40]:
            ledger.append(Measurement(architecture=architecture, values=(1.0,)))
    facts = automl("reduce", "narrow", "--threshold", "0", "--output", "narrower.yaml", "--json").json
    assert facts["removed"]["stem.width"] == [4, 16, 32]
    only = yaml.safe_load(Path("narrower.yaml").read_text())["only"]
    assert only["reduce.width"] == [16, 32, 64]
    assert only["stem.width"] == [8]
    assert facts["size_before"] == supernet.space.size() > facts["size_after"]
    assert automl("check", "narrower.yaml", "--json").json["architectures"] == facts["size_after"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["wide", "--threshold", "1"], "threshold is 1.0; it is the share"),
        (["wied"], "no run in runs is called 'wied'. Did you mean 'wide'"),
        (["wide", "--output", "space.txt"], "--output space.txt: a search space file ends in .yaml"),
        (["wide", "--output", "there.yaml"], "--output there.yaml: there is such a file"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_written(
    automl: Automl, searched: SearchSpace, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "there.yaml").write_text("mine")
    ended = automl("reduce", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "there.yaml"]
    assert (tmp_path / "there.yaml").read_text() == "mine"
