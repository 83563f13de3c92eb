"""What jobs measure first, and that a resumed run needs none of the runs it came from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from automl.errors import ConfigError, InterruptedJobError, RunError
from automl.host import Host
from automl.job import load_supernet, open_ledger, run_job
from automl.job.warm_start import read_warm_start, resolve_warm_start
from automl.job_config import JobConfig, resolve_job
from automl.run_folder import Run
from automl.search.warm_start import ends, initial_architectures
from automl.space import Architecture

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load()


def job(**settings: Any) -> JobConfig:
    assignments = [
        *("training.epochs=1", "training.validation_samples=64", "training.validation_subnets=1"),
        *("evaluation.anchors=1", "evaluation.group=3", "evaluation.validation_samples=100"),
    ]
    base = {"space": "image/tiny", "objectives": ["error", "macs"], "trials": 8, "searcher": "random", "seed": 5}
    return resolve_job(settings={**base, **settings}, assignments=assignments)


@pytest.fixture(scope="module")
def earlier(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_job(job(), tmp_path_factory.mktemp("runs") / "earlier", host=host)


def history(run: Run, host: Host) -> list[tuple[Architecture, Any]]:
    supernet, _, parts = load_supernet(run, host)
    with open_ledger(run, parts, supernet, read_only=True) as ledger:
        return [(m.architecture, m.values) for m in ledger.read()]


def test_words_and_runs_are_joined_without_repetitions(host: Host, earlier: Run) -> None:
    space = load_supernet(earlier, host)[0].space
    given = {"runs": earlier.folder.parent, "seed": 4}
    assert resolve_warm_start(["ends"], space, **given) == ends(space)
    assert resolve_warm_start(["stratified:5"], space, **given) == initial_architectures(space, 5, seed=4)
    assert len(resolve_warm_start(["stratified"], space, **given)) == 12
    both = resolve_warm_start(["ends", "earlier", str(earlier.folder), "ends"], space, **given)
    assert both[:2] == ends(space)
    assert len(both) == len(set(both))
    assert set(both) == {*ends(space), *(a for a, _ in history(earlier, host))}
    front = {member["id"] for member in earlier.read_json("front.json")["members"]}
    alone = resolve_warm_start(["earlier"], space, **given)
    assert {a.id for a in alone[: len(front)]} == front


def test_mistakes_are_told(host: Host, earlier: Run, tmp_path: Path) -> None:
    space = load_supernet(earlier, host)[0].space
    given = {"runs": earlier.folder.parent, "seed": 4}
    with pytest.raises(ConfigError, match=r"warm_start: 'earlyer' is neither a run .* Did you mean 'earlier'"):
        resolve_warm_start(["earlyer"], space, **given)
    with pytest.raises(ConfigError, match="is neither a run"):
        resolve_warm_start(["stratified:x"], space, **given)
    folder = tmp_path / "begun"
    shutil.copytree(earlier.folder, folder)
    (folder / "ledger.log").unlink()
    with pytest.raises(RunError, match="measured nothing yet"):
        resolve_warm_start([str(folder)], space, **given)


@pytest.mark.slow
def test_a_stopped_run_goes_on_without_its_sources(host: Host, earlier: Run, tmp_path: Path) -> None:
    shutil.copytree(earlier.folder, tmp_path / "earlier")
    settings = job(warm_start=["earlier", "stratified:4"], seed=7, trials=14)
    whole = run_job(settings, tmp_path / "whole", host=host)
    expected = history(whole, host)
    initial = read_warm_start(whole.folder, settings.warm_start, load_supernet(whole, host)[0].space)
    assert initial is not None
    assert [a for a, _ in expected[: len(initial)]] == initial
    assert len(expected) == 14 > len(initial) > 8
    assert whole.read_json("front.json")["job"]["warm_start"] == ["earlier", "stratified:4"]

    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return (tmp_path / "cut" / "searcher.json").is_file()

    with pytest.raises(InterruptedJobError):
        run_job(settings, tmp_path / "cut", host=host, stop=stop)
    shutil.rmtree(tmp_path / "earlier")
    cut = run_job(settings, tmp_path / "cut", host=host)
    assert history(cut, host) == expected
    assert not (tmp_path / "cut" / "warm_start.json.tmp").exists()
    with pytest.raises(RunError, match=r'warm_start: \["earlier", "stratified:4"\] -> \["ends"\]'):
        run_job(job(warm_start=["ends"], seed=7, trials=14), tmp_path / "cut", host=host)


def test_a_damaged_list_is_told(earlier: Run, host: Host, tmp_path: Path) -> None:
    space = load_supernet(earlier, host)[0].space
    run = Run.start(tmp_path / "run", job(warm_start=["ends"]))
    assert read_warm_start(run.folder, ["ends"], space) is None
    run.write_json("warm_start.json", {"entries": ["ends"], "space": space.digest, "architectures": [{"width": 3}]})
    with pytest.raises(RunError, match=r"warm_start\.json: damaged"):
        read_warm_start(run.folder, ["ends"], space)
    assert read_warm_start(run.folder, ["stratified"], space) is None
