"""Run folders: one job each, one process at a time, nothing half-written."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from automl.errors import RunError
from automl.job_config import JobConfig
from automl.run_folder import Run


def test_the_same_job_continues_and_another_is_refused(tmp_path: Path) -> None:
    job = JobConfig(seed=3)
    run = Run.start(tmp_path / "a", job)
    run.write_json("front.json", {"x": 1})
    assert Run.start(tmp_path / "a", job).read_json("front.json") == {"x": 1}
    with pytest.raises(RunError, match=r"another job \(seed: 3 -> 4\)"):
        Run.start(tmp_path / "a", JobConfig(seed=4))
    assert Run.open(tmp_path / "a").job == job


def test_only_settings_that_differ_are_shown_by_dotted_key(tmp_path: Path) -> None:
    old = JobConfig.model_validate({"training": {"epochs": 3}, "searcher_options": {"population": 8}})
    new = JobConfig.model_validate({"training": {"epochs": 5}, "objectives": ["error", {"latency": {"threads": 2}}]})
    Run.start(tmp_path / "a", old)
    with pytest.raises(RunError) as told:
        Run.start(tmp_path / "a", new)
    shown = str(told.value).partition("(")[2].partition("). Choose")[0]
    assert set(shown.split("; ")) == {
        "training.epochs: 3 -> 5",
        "searcher_options.population: 8 -> not set",
        'objectives: ["error", "latency"] -> ["error", {"latency": {"threads": 2}}]',
    }


def test_when_to_stop_may_change(tmp_path: Path) -> None:
    Run.start(tmp_path / "a", JobConfig(trials=5))
    run = Run.start(tmp_path / "a", JobConfig(trials=9, time_budget=60.0, failures_in_a_row=3, patience={"trials": 7}))
    assert run.job.default_name() == JobConfig(trials=5).default_name()
    assert Run.open(run.folder).job.trials == 9


def test_overwrite_removes_the_old_run_only(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "a", JobConfig())
    run.write_json("front.json", {})
    (tmp_path / "a" / "exports").mkdir()
    Run.start(tmp_path / "a", JobConfig(seed=9), overwrite=True)
    assert sorted(p.name for p in (tmp_path / "a").iterdir() if p.name != ".lock") == ["job.yaml"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="not a run folder"):
        Run.start(tmp_path / "b", JobConfig(), overwrite=True)
    assert (tmp_path / "b" / "thesis.tex").exists()


def test_opening_offers_the_nearest_run(tmp_path: Path) -> None:
    Run.start(tmp_path / "digits", JobConfig())
    with pytest.raises(RunError, match=r"does not exist. Did you mean 'digits'"):
        Run.open(tmp_path / "digit")
    with pytest.raises(RunError, match="is not a run folder"):
        Run.open(tmp_path)


def test_a_damaged_or_missing_file_is_named(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "a", JobConfig())
    with pytest.raises(RunError, match=r"front.json: no such file"):
        run.read_json("front.json")
    run.path("front.json").write_text('{"members": [')
    with pytest.raises(RunError, match=r"front.json: damaged"):
        run.read_json("front.json")


def test_a_second_process_is_kept_out_and_a_dead_one_is_not(tmp_path: Path) -> None:
    run = Run.start(tmp_path / "a", JobConfig())
    holder = (
        "import sys, pathlib, time; from automl.run_folder import Run; run = Run.open(pathlib.Path(sys.argv[1]));\n"
        "with run.lock():\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(run.folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process is working on this run"), run.lock():
            pass
        process.kill()
    with run.lock():
        pass


def test_an_unwritable_place_and_a_full_disk_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        Run.start(tmp_path / "file" / "a", JobConfig())
    run = Run.start(tmp_path / "a", JobConfig())
    run.write_json("front.json", {"old": True})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RunError, match="the disk is full"):
        run.write_json("front.json", {"new": True})
    monkeypatch.undo()
    assert run.read_json("front.json") == {"old": True}
    assert not list(run.folder.glob("*.partial"))
