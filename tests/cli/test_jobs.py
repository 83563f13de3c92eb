"""Whole jobs through the command: search, resume, extend, front, export, measure, report; and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Automl = Callable[..., Any]
SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [4, 6], stride: 2}
  stage1: {from: stem, blocks: [vision.conv_stem, vision.residual], width: [6, 8, 12], depth: [1, 2]}
output: stage1
"""
SEARCH = [
    *("search", "--space", "small.yaml", "--data", "data.npz", "--objective", "error", "--objective", "params"),
    *("--epochs", "1", "--name", "small", "--seed", "3", "--set", "evaluation.group=2"),
]


def write_data(folder: Path, **changes: Any) -> None:
    """Writes 72 images of 7 × 5 pixels in three classes that are easy to tell apart."""
    rng = np.random.default_rng(0)
    y = np.arange(72) % 3
    x = rng.normal(size=(72, 7, 5)) + y[:, None, None]
    arrays: dict[str, Any] = {"x": x.astype(np.float32), "y": y, **changes}
    np.savez(folder / "data.npz", **arrays)
    (folder / "small.yaml").write_text(SPACE)


@pytest.mark.slow
def test_search_then_everything_that_follows(automl: Automl, tmp_path: Path) -> None:
    write_data(tmp_path)
    started = automl(*SEARCH, "--trials", "6")
    assert started.code == 0, started.err
    assert "Starting a run in runs/small" in started.err
    assert "epoch 1: loss" in started.err
    for line in ("Front of small", "Knee:", "Report: runs/small/report.html", "automl export small"):
        assert line in started.out
    front = automl("front", "small", "--json").json
    history = (tmp_path / "runs/small/ledger.log").read_bytes()

    again = automl(*SEARCH, "--trials", "6", "--json")
    assert "Going on with the run in runs/small" in again.err
    assert again.json["front"] == front
    assert (tmp_path / "runs/small/ledger.log").read_bytes() == history

    more = automl(*SEARCH, "--trials", "9", "--json")
    assert more.code == 0, more.err
    assert more.json["front"]["trials"]["complete"] == 9
    assert (tmp_path / "runs/small/ledger.log").read_bytes().startswith(history)

    exported = automl("export", "small", "--pick", "knee", "--to", "safetensors", "--json")
    assert exported.code == 0, exported.err
    assert all(Path(path).is_file() for path in exported.json[0]["files"].values())
    listed = automl("measure", "small", "--pick", "all-front", "--batch", "2", "--repeats", "3")
    assert listed.code == 0, listed.err
    assert " ms" in listed.out
    assert automl("report", "small", "--pick", "best:params").code == 0
    page = (tmp_path / "runs/small/report.html").read_text()
    assert "vision.conv_stem" in page
    assert "safetensors" in page
    anew = automl(*SEARCH, "--trials", "5", "--overwrite", "--json")
    assert anew.json["front"]["trials"]["complete"] == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": np.full((72, 7, 5), np.nan)}, "data.npz"),
        ({"y": np.zeros(72, dtype=int)}, "class"),
        ({"y": np.arange(71) % 3}, "data.npz"),
    ],
    ids=["nan", "one class", "lengths differ"],
)
def test_unfit_data_are_told_before_anything_is_written(
    automl: Automl, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_data(tmp_path, **changes)
    ended = automl(*SEARCH)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("vision.residual]", "vision.residul]", "Did you mean 'vision.residual'"),
        ("depth: [1, 2]", "depth: []", "depth"),
        ("from: stem", "from: stm", "no slot is called 'stm'. Did you mean 'stem'"),
        ("output: stage1", "output: stem", "dangling"),
        ("depth:", "dept:", "unknown option 'dept'. Did you mean 'depth'"),
    ],
)
def test_mistakes_in_a_space_file_are_told_with_their_line(
    automl: Automl, tmp_path: Path, old: str, new: str, message: str
) -> None:
    write_data(tmp_path)
    (tmp_path / "small.yaml").write_text(SPACE.replace(old, new))
    for line in (SEARCH, ["check", "small.yaml"]):
        ended = automl(*line)
        assert ended.code == 2
        assert "small.yaml:" in ended.err
        assert message in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_constraint_out_of_reach_stops_before_the_search(automl: Automl, tmp_path: Path) -> None:
    write_data(tmp_path)
    ended = automl(*SEARCH, "--constraint", "params<=3")
    assert ended.code == 2
    assert "params<=3" in ended.err
    assert not (tmp_path / "runs/small/ledger.log").exists()


@pytest.mark.slow
def test_interrupted_search_goes_on_to_the_same_end(automl: Automl, tmp_path: Path) -> None:
    write_data(tmp_path)
    line = [sys.executable, "-m", "automl_cli", *SEARCH, "--trials", "60"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ledger = tmp_path / "runs/small/ledger.log"
    deadline = time.monotonic() + 120
    while not (ledger.exists() and ledger.read_bytes().count(b'"op_code":4') > 3) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "the same command continues" in err
    assert out == ""
    stopped = ledger.read_bytes()
    resumed = automl(*SEARCH, "--trials", "60", "--json")
    assert resumed.code == 0
    assert ledger.read_bytes().startswith(stopped)
    straight = automl(*SEARCH, "--trials", "60", "--json", "--runs", "straight")
    keys = ("id", "number", "architecture", "searched", "test")
    fronts = [[{key: m[key] for key in keys} for m in ended.json["front"]["members"]] for ended in (resumed, straight)]
    assert json.dumps(fronts[0]) == json.dumps(fronts[1])
