"""Objectives of a plugin that break their contract, and one that is noise: what the command makes of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.report.trials import read_trials

Automl = Callable[..., Any]
SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [4, 6], stride: 2}
  stage1: {from: stem, blocks: [vision.conv_stem, vision.residual], width: [6, 8, 12], depth: [1, 2]}
output: stage1
"""
PLUGIN = """\
import random
import pluggy
from automl.host.components import Objective as Component
from automl.objectives import Objective, Value

hookimpl = pluggy.HookimplMarker("automl")
COUNT = 0


class Odd(Objective):
    name = "odd"
    repeatable = {repeatable}

    def measure(self, candidate):
        global COUNT
        COUNT += 1
        params = sum(p.numel() for p in candidate.model.parameters())
        {body}


@hookimpl
def automl_objectives():
    return [Component(name="odd", summary="Not as it should be", target="automl_odd:Odd")]
"""
SEARCH = [
    *("search", "--space", "small.yaml", "--data", "data.npz", "--objective", "error", "--objective", "odd"),
    *("--epochs", "1", "--name", "odd", "--seed", "3", "--set", "evaluation.group=2", "--set", "evaluation.anchors=1"),
]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Returns a function that installs the plugin with a body for ``measure``, and writes data and space."""

    def write(body: str, repeatable: bool = True) -> None:
        folder = tmp_path / "site"
        info = folder / "automl_odd-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / "automl_odd.py").write_text(PLUGIN.format(body=body, repeatable=repeatable))
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: automl-odd\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[automl]\nautoml_odd = automl_odd\n")
        monkeypatch.syspath_prepend(folder)
        rng = np.random.default_rng(0)
        y = np.arange(72) % 3
        x = (rng.normal(size=(72, 7, 5)) + y[:, None, None]).astype(np.float32)
        np.savez(tmp_path / "data.npz", x=x, y=y)
        (tmp_path / "small.yaml").write_text(SPACE)

    yield write
    sys.modules.pop("automl_odd", None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise OSError('no such device')", "OSError: no such device"),
        ("return None", "TypeError: objective 'odd' gave None instead of a Value."),
        ("return 0.5", "TypeError: objective 'odd' gave 0.5 instead of a Value."),
        ("return Value(float('nan'))", "ValueError: the measured value is nan, not a finite number."),
        ("return Value(float('inf'))", "ValueError: the measured value is inf, not a finite number."),
        ("return Value(1 + 2j)", "ValueError: the measured value is (1+2j), not a finite number."),
        ("return Value('fast')", "ValueError: the measured value is 'fast', not a finite number."),
    ],
)
def test_an_objective_that_always_fails_ends_the_search_with_its_reason(
    automl: Automl, install: Callable[..., None], tmp_path: Path, body: str, reason: str
) -> None:
    install(body)
    ended = automl(*SEARCH, "--trials", "20", "--set", "failures_in_a_row=4")
    assert ended.code == 2, ended
    told = [line for line in ended.err.splitlines() if line.startswith("Error:")]
    assert len(told) == 1
    assert "the last 4 candidates failed, so the search stops (failures_in_a_row: 4)." in told[0]
    assert f"failed with: {reason}" in told[0]
    assert "Traceback" not in ended.err
    assert not (tmp_path / "runs/odd/front.json").exists()
    failures = read_trials(tmp_path / "runs/odd", None, 2).failures
    assert [failure.number for failure in failures] == [0, 1, 2, 3]
    assert all(failure.reason.splitlines()[-1] == reason for failure in failures)


@pytest.mark.slow
def test_a_job_whose_candidates_all_failed_says_so_and_does_not_end_as_if_it_had_a_front(
    automl: Automl, install: Callable[..., None]
) -> None:
    install("raise OSError('no such device')")
    ended = automl(*SEARCH, "--trials", "3", "--set", "failures_in_a_row=50")
    assert ended.code == 1, ended
    assert "runs/odd: the front is empty: all 3 candidates failed; the notes tell why." in ended.err
    assert "3 of 3 candidates failed, 3 of them with: OSError: no such device" in ended.out
    assert "automl export" not in ended.out
    again = automl(*SEARCH, "--trials", "3", "--set", "failures_in_a_row=50", "--json")
    assert again.code == 1
    assert again.json["front"]["members"] == []


@pytest.mark.slow
def test_failures_now_and_then_are_counted_and_noted(automl: Automl, install: Callable[..., None]) -> None:
    install("return Value(params if params % 3 else float('nan'))")
    ended = automl(*SEARCH, "--trials", "12", "--json")
    assert ended.code == 0, ended.err
    front = ended.json["front"]
    failed = front["trials"]["failed"]
    assert 0 < failed < 12
    notes = {note["kind"]: note["text"] for note in front["notes"]}
    assert notes["failures"].startswith(f"{failed} of 12 candidates failed, {failed} of them with: ValueError:")


@pytest.mark.slow
def test_a_declared_noise_is_measured_again_and_compared_with_the_gaps(
    automl: Automl, install: Callable[..., None], tmp_path: Path
) -> None:
    # Values of the search are lucky draws; the scatter is far larger than any difference between architectures.
    install("return Value(1e6 + params + 1e5 * random.Random(COUNT).random())", repeatable=False)
    ended = automl(*SEARCH, "--trials", "16", "--json")
    assert ended.code == 0, ended.err
    front = ended.json["front"]
    members = front["members"]
    assert all(m["searched"]["odd"] != m["measured"]["odd"]["value"] for m in members)
    final = [tuple(m["measured"][name]["value"] for name in ("error", "odd")) for m in members]
    for one in final:
        assert not any(all(a <= b for a, b in zip(other, one, strict=True)) and other != one for other in final)
    notes = {note["kind"]: note["text"] for note in front["notes"]}
    assert "odd: the typical change when repeated is" in notes["noise"]
    shown = automl("front", "odd")
    assert "Note:   odd: the typical change when repeated is" in shown.out
    assert "odd: the typical change when repeated is" in (tmp_path / "runs/odd/report.html").read_text().lower()
    assert json.loads((tmp_path / "runs/odd/front.json").read_text())["ended"]["reason"] in ("trials", "exhausted")
