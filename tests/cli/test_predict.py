from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl.host import Host
from automl.job import resolve_parts
from automl.job.opened import open_ledger
from automl.job_config import JobConfig
from automl.run_folder import Run
from automl.search import Measurement
from automl.space import Architecture, SearchSpace
from automl.supernet import build_supernet

Automl = Callable[..., Any]
MEASURED = 40
BROKEN, STOPPED = 7, 9


def truth(space: SearchSpace, architecture: Architecture) -> tuple[float, float]:
    """An error that falls and a cost that grows with every choice."""
    row = space.to_indices([architecture])[0]
    size = float(np.where(row >= 0, row + 1, 0).sum())
    return 1 / (1 + size), 1e6 * size


@pytest.fixture
def searched(tmp_path: Path) -> tuple[SearchSpace, list[Architecture]]:
    """Writes ``runs/wide`` with 40 measurements, one failed and one stopped early; returns its space and 60 architectures."""
    job = JobConfig(space="image/tiny", objectives=["error", "macs"])
    parts = resolve_parts(job, Host.load())
    supernet = build_supernet(parts.skeleton, parts.task.load(parts.data, seed=0), Host.load())
    space, rng = supernet.space, np.random.default_rng(0)
    drawn = list(dict.fromkeys(space.sample(rng) for _ in range(200)))[:60]
    run = Run.start(tmp_path / "runs" / "wide", job)
    with open_ledger(run, parts, supernet) as ledger:
        for number, architecture in enumerate(drawn[:MEASURED]):
            values = None if number == BROKEN else truth(space, architecture)
            details = {"fidelity": 0.25} if number == STOPPED else {}
            failure = "Traceback\nMemoryError: none left" if number == BROKEN else None
            ledger.append(Measurement(architecture=architecture, values=values, failure=failure, details=details))
    return space, drawn


def test_an_unmeasured_architecture_gets_values_with_intervals_and_scores(
    automl: Automl, searched: tuple[SearchSpace, list[Architecture]], tmp_path: Path
) -> None:
    space, drawn = searched
    before = (tmp_path / "runs" / "wide" / "ledger.log").read_bytes()
    inside = 0
    for architecture in drawn[MEASURED : MEASURED + 3]:
        ended = automl("predict", "wide", "--arch", architecture.to_json(), "--json")
        assert ended.code == 0, ended.err
        assert ended.json["id"] == architecture.id
        assert ended.json["measured"] is None
        assert ended.json["learnt_from"] == MEASURED - 2
        for value, found in zip(truth(space, architecture), ended.json["objectives"].values(), strict=True):
            assert found["low"] < found["value"] < found["high"]
            assert found["rank_correlation"] > 0.6
            assert found["rank_correlations"]["size only"] == found["size_only_rank_correlation"]
            inside += found["low"] <= value <= found["high"]
    assert list(ended.json["objectives"]) == ["error", "macs"]
    assert inside >= 5
    assert (tmp_path / "runs" / "wide" / "ledger.log").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "runs" / "wide").iterdir()) == ["job.yaml", "ledger.log"]


def test_a_measured_one_is_found_by_id_and_shown_beside_what_was_measured(
    automl: Automl, searched: tuple[SearchSpace, list[Architecture]]
) -> None:
    space, drawn = searched
    ended = automl("predict", "wide", "--arch", drawn[3].id[:8], "--json")
    assert ended.code == 0, ended.err
    assert ended.json["architecture"] == dict(drawn[3])
    assert ended.json["learnt_from"] == MEASURED - 3  # not from the answer
    assert ended.json["measured"]["number"] == 3
    assert list(ended.json["measured"]["values"].values()) == list(truth(space, drawn[3]))
    shown = automl("predict", "wide", "--arch", drawn[3].id)
    assert "Learnt from: 37 measurements" in shown.out
    assert f"{100 * truth(space, drawn[3])[0]:.2f} %" in shown.out
    assert "tau of size only" in shown.out


def test_failed_and_stopped_ones_say_so(automl: Automl, searched: tuple[SearchSpace, list[Architecture]]) -> None:
    _, drawn = searched
    failed = automl("predict", "wide", "--arch", drawn[BROKEN].id)
    assert "Measured:    failed as trial 7: MemoryError: none left" in failed.out
    stopped = automl("predict", "wide", "--arch", drawn[STOPPED].id)
    assert "as trial 9, stopped after 25% of the samples" in stopped.out


def test_a_file_may_hold_it_with_values_of_inactive_dimensions(
    automl: Automl, searched: tuple[SearchSpace, list[Architecture]]
) -> None:
    space, drawn = searched
    partial = next(a for a in drawn[MEASURED:] if len(a) < len(space.names))
    everything = {name: kind.choices[0] for name, kind in space.dimensions.items()} | dict(partial)
    Path("mine.json").write_text(json.dumps(everything))
    ended = automl("predict", "wide", "--arch", "mine.json", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["id"] == partial.id


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ('{"stem.widht": 8}', "--arch: unknown dimension 'stem.widht'. Did you mean 'stem.width'"),
        ("{stem: 8}", "--arch: an architecture must be one JSON object"),
        ('{"stem.width": 9}', "--arch: stem.width: "),
        ("{}", "this dimension is active here and has no value; choices:"),
        ("data.json", "--arch: data.json: an architecture must be a JSON object"),
        ("image.json", "--arch: image.json: cannot be read"),
        ("x" * 5000, "is neither a file, nor a JSON object, nor the id of one of 40 measured architectures"),
        ("", "is neither a file"),
    ],
)
def test_what_is_no_architecture_is_one_line(
    automl: Automl, searched: tuple[SearchSpace, list[Architecture]], arch: str, message: str
) -> None:
    Path("data.json").write_text("[1, 2]")
    Path("image.json").write_bytes(b"\xff\xfe\xfa")
    ended = automl("predict", "wide", "--arch", arch)
    assert ended.code == 2
    assert message in ended.err
    assert len(ended.err) < 800


def test_a_misspelt_id_and_an_ambiguous_one_offer_the_nearest(
    automl: Automl, searched: tuple[SearchSpace, list[Architecture]]
) -> None:
    _, drawn = searched
    wrong = drawn[0].id[:-1] + ("0" if drawn[0].id[-1] != "0" else "1")
    ended = automl("predict", "wide", "--arch", wrong)
    assert ended.code == 2
    assert f"Did you mean '{drawn[0].id}'" in ended.err
    first = next(a.id[0] for a in drawn[:MEASURED] if sum(b.id[0] == a.id[0] for b in drawn[:MEASURED]) > 1)
    assert "several measured architectures start so" in automl("predict", "wide", "--arch", first).err


def test_a_run_that_measured_too_little_says_how_much_is_missing(automl: Automl, tmp_path: Path) -> None:
    job = JobConfig(space="image/tiny", objectives=["macs"])
    run = Run.start(tmp_path / "runs" / "young", job)
    ended = automl("predict", "young", "--arch", "{}")
    assert ended.code == 2
    assert "young: the run has measured nothing yet" in ended.err
    parts = resolve_parts(job, Host.load())
    supernet = build_supernet(parts.skeleton, parts.task.load(parts.data, seed=0), Host.load())
    with open_ledger(run, parts, supernet) as ledger:
        ledger.append(Measurement(architecture=supernet.space.smallest(), values=(1.0,)))
    ended = automl("predict", "young", "--arch", supernet.space.largest().to_json())
    assert ended.code == 2
    assert "1 other architectures were measured in full; a prediction needs at least 10." in ended.err
    assert "Did you mean 'young'" in automl("predict", "yuong", "--arch", "{}").err
