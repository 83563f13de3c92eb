"""``automl latency`` and what a job with a predicted latency leaves in its front."""

from __future__ import annotations

import json
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
  stem:   {from: input, blocks: [{vision.conv_stem: {kernel: [3, 5]}}], width: 4, stride: 2}
  stage1: {from: stem, blocks: [{vision.conv_stem: {kernel: [3, 5]}}], width: [6, 8], depth: [1, 2]}
output: stage1
"""


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a space of 24 networks, data for it, and a cache of its own."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "data.npz", x=rng.normal(size=(60, 7, 5)).astype(np.float32), y=np.arange(60) % 3)
    (tmp_path / "small.yaml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUTOML_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_profile_then_check(automl: Automl, small: Path) -> None:
    first = automl("latency", "profile", "small.yaml", "--data", "data.npz", "--json")
    assert first.code == 0, first.err
    found = json.loads(first.out)
    # the network, 2 stems, 2 x 2 first and 2 x 2 second blocks of two widths, 2 heads
    assert found["blocks"] == found["new"] == 1 + 2 + 4 + 4 + 2
    assert Path(found["table"]).is_relative_to(small / "cache")
    assert found["context"]["runtime"] == "eager"
    again = automl("latency", "profile", "small.yaml", "--data", "data.npz")
    assert "13 blocks timed inside whole networks in eager, 0 of them now" in again.out
    checked = automl("latency", "check", "small.yaml", "--data", "data.npz", "--count", "5", "--json")
    assert checked.code == 0, checked.err
    report = json.loads(checked.out)
    assert len(report["rows"]) == report["networks"] == 5
    assert len({row["id"] for row in report["rows"]}) == 5
    for comparison in ("predicted", "repeated"):
        assert -1 <= report[comparison]["tau"] <= 1
        assert report[comparison]["error"] >= 0
    table = automl("latency", "check", "small.yaml", "--data", "data.npz", "--count", "3")
    assert "predicted against measured" in table.out
    assert "measured again against measured" in table.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "small.yaml", "--data", "data.npz", "--count", "4"), "automl latency profile SPACE --runtime eager"),
        (("check", "small.yaml", "--data", "data.npz", "--count", "400"), "the space has 24 networks"),
        (("profile", "image/mobil"), "Did you mean 'image/mobile'"),
        (("profile", "small.yaml", "--data", "none.npz"), "none.npz"),
        (("profile", "small.yaml", "--runtime", "egaer"), "Did you mean 'eager'"),
        (("profile", "small.yaml", "--data", "data.npz", "--runtime-option", "threads"), "write it as KEY=VALUE"),
        (("profile", "small.yaml", "--data", "data.npz", "--runtime-option", "x=1"), "unknown option 'x'"),
        (
            (
                "profile",
                "small.yaml",
                "--data",
                "data.npz",
                "--runtime",
                "command",
                "--runtime-option",
                "command=a {b}",
            ),
            "unknown placeholder {b}",
        ),
    ],
)
def test_mistakes_are_told_in_one_message(
    automl: Automl, small: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = automl("latency", *arguments)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.slow
def test_a_front_shows_predicted_and_measured_latency(automl: Automl, small: Path) -> None:
    search = (
        *("search", "--space", "small.yaml", "--data", "data.npz", "--objective", "error", "--objective", "latency"),
        *("--epochs", "1", "--trials", "8", "--name", "run"),
    )
    done = automl(*search)
    assert done.code == 0, done.err
    assert "timing blocks inside whole networks" in done.err
    front = json.loads((small / "runs/run/front.json").read_text())
    assert front["context"]["latency"]["mode"] == "measured"
    for member in front["members"]:
        predicted = member["predicted"]["latency"]
        assert predicted["value"] == member["searched"]["latency"]
        assert predicted["low"] <= predicted["value"] <= predicted["high"]
        measured = member["measured"]["latency"]
        meet = predicted["low"] <= measured["high"] and measured["low"] <= predicted["high"]
        assert predicted["agrees"] is meet
    shown = automl("front", "run")
    assert "predicted" in shown.out
    assert "predicted" in (small / "runs/run/report.html").read_text()
