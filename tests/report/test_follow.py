from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from automl.errors import RunError
from automl.report.follow import RunFollower
from automl.report.growth import trial_front
from automl.report.trials import read_trials
from automl.search.journal import CREATE_TRIAL, JournalTail, read_operations

MakeRun = Callable[..., Path]


def test_a_run_is_read_on_from_where_the_last_look_ended(make_run: MakeRun, tmp_path: Path) -> None:
    whole = make_run("whole")
    lines = (whole / "ledger.log").read_bytes().splitlines(keepends=True)
    folder = tmp_path / "growing"
    shutil.copytree(whole, folder)
    (folder / "ledger.log").unlink()
    follower = RunFollower(folder)
    assert not follower.poll()
    counts = []
    for end in (20, 20, 60, len(lines)):
        # The last line is being written: only a part of it is there.
        torn = lines[end][:9] if end < len(lines) else b""
        (folder / "ledger.log").write_bytes(b"".join(lines[:end]) + torn)
        follower.poll()
        counts.append(follower.frontier.trials)
    assert counts[0] == counts[1] < counts[2] < counts[3] == 120
    trials = read_trials(folder, None, 2)
    assert follower.frontier.failed == len(trials.failures) == 3
    expected = trials.values[trial_front(trials)]
    assert follower.frontier.front.tolist() == expected.tolist()
    assert follower.finished
    assert follower.epochs == 12


def test_a_run_that_is_started_anew_is_followed_from_its_beginning(make_run: MakeRun) -> None:
    folder = make_run("anew", trials=30, failing=0)
    follower = RunFollower(folder)
    follower.poll()
    text = (folder / "ledger.log").read_bytes()
    (folder / "ledger.log").unlink()
    (folder / "front.json").unlink()
    keep = text.splitlines(keepends=True)[:-10]
    (folder / "ledger.new").write_bytes(b"".join(keep))
    (folder / "ledger.new").rename(folder / "ledger.log")
    assert follower.poll()
    assert follower.frontier.trials == 20
    assert not follower.finished


def test_a_front_of_fewer_trials_is_not_the_end(make_run: MakeRun) -> None:
    folder = make_run("extended", trials=30)
    front = json.loads((folder / "front.json").read_text())
    front["trials"]["complete"] -= 1
    (folder / "front.json").write_text(json.dumps(front))
    follower = RunFollower(folder)
    follower.poll()
    assert not follower.finished


def test_tail_gives_what_a_reader_of_the_whole_file_gets(make_run: MakeRun) -> None:
    path = make_run("tail") / "ledger.log"
    assert JournalTail(path, [CREATE_TRIAL]).read() == [o for _, o in read_operations(path, [CREATE_TRIAL])]


def test_damage_and_absence_are_told(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("damaged")
    follower = RunFollower(folder)
    follower.poll()
    with (folder / "ledger.log").open("ab") as file:
        file.write(b"something else\n")
    with pytest.raises(RunError, match="is not a record of Optuna's journal"):
        follower.poll()
    with pytest.raises(RunError, match="no such run folder"):
        RunFollower(tmp_path / "missing")
