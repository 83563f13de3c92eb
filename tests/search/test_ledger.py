from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from automl.errors import RunError
from automl.search import Ledger, Measurement, Outcome
from automl.search import journal as journal_module
from automl.space import Categorical, Ordinal, SearchSpace
from automl.testing.problems import large_space, small_space

NAMES = ["error", "latency"]


def mixed_space() -> SearchSpace:
    """Every kind of choice that Optuna has to store."""
    return SearchSpace.build(
        {
            "name": Categorical("a", "b.c", "ü"),
            "flag": Categorical(True, False),
            "rate": Ordinal(0.0, 0.1, 0.5),
            "number": Categorical(3, 1, 2),
            "even": Ordinal(2, 4, 6, 8),
            "uneven": Ordinal(3, 4, 7),
        },
        conditions={"rate": {"flag": True}, "even": {"name": ["a", "ü"]}},
    )


def measurements(space: SearchSpace, n: int, seed: int = 0) -> list[Measurement]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        failed = number % 4 == 3
        made.append(
            Measurement(
                architecture=space.sample(rng),
                values=None if failed else (float(rng.normal()), float(rng.random()) * 1e-17),
                violations=() if failed else (0.0, float(rng.random())),
                details={"seconds": float(rng.random()), "interval": [0.1, 0.2], "note": {"cpu": "ü"}},
                failure="Traceback:\n  ValueError: boom" if failed else None,
                number=number,
            )
        )
    return made


def fill(ledger: Ledger, given: list[Measurement]) -> None:
    for measurement in given:
        assert ledger.append(measurement) == measurement


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.log"


@pytest.mark.parametrize("storage", ["{}/ledger.log", "sqlite:///{}/trials.db"])
@pytest.mark.parametrize("space", [mixed_space(), large_space()], ids=["mixed", "conditional"])
def test_what_was_appended_is_read_back_by_another_process(storage: str, space: SearchSpace, tmp_path: Path) -> None:
    place = storage.format(tmp_path)
    given = measurements(space, 9)
    with Ledger(place, space=space, objectives=NAMES) as ledger:
        fill(ledger, given[:5])
    with Ledger(place, space=space, objectives=NAMES) as ledger:
        assert ledger.read() == given[:5]
        fill(ledger, given[5:])
    with Ledger(place, space=space, objectives=NAMES, read_only=True) as ledger:
        read = ledger.read()
        assert read == given
        assert [list(m.architecture) for m in read] == [list(m.architecture) for m in given]
        assert ledger.notes == []


def test_optuna_reads_the_ledger_as_an_ordinary_study(path: Path) -> None:
    space = mixed_space()
    given = measurements(space, 8)
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, given)
    study = optuna.load_study(
        study_name="search", storage=optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    )
    assert [str(d) for d in study.directions] == ["1", "1"]
    assert study.metric_names == NAMES
    for measurement, trial in zip(given, study.trials, strict=True):
        assert trial.number == measurement.number
        assert trial.params == dict(measurement.architecture)
        assert trial.distributions == {n: space.distributions()[n] for n in measurement.architecture}
        assert (trial.values is None) == (trial.state == optuna.trial.TrialState.FAIL) == (measurement.values is None)
        assert trial.values is None or tuple(trial.values) == measurement.values
        assert trial.duration.total_seconds() == pytest.approx(measurement.details["seconds"], abs=1e-5)
        assert trial.user_attrs.get("failure") == measurement.failure
        assert tuple(trial.constraints.values()) == measurement.violations
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        feasible = [m for m in given if m.feasible]
        assert len(study.best_trials) <= len(feasible) or not feasible


def test_one_measurement_is_one_line(path: Path) -> None:
    space = large_space()
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        before = path.read_bytes().count(b"\n")
        fill(ledger, measurements(space, 3))
        assert path.read_bytes().count(b"\n") == before + 3
    assert [p.name for p in path.parent.iterdir()] == ["ledger.log"]


@pytest.mark.parametrize("cut", [1, 2, 9, 300, -2])
def test_a_torn_last_record_is_dropped_with_a_note(path: Path, cut: int) -> None:
    space = large_space()
    given = measurements(space, 3)
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, given)
    whole = path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    torn = whole[: start + cut] if cut > 0 else whole[:cut]
    path.write_bytes(torn)
    with Ledger(path, space=space, objectives=NAMES, read_only=True) as reader:
        assert reader.read() == given[:2]
    assert path.read_bytes() == torn
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        assert len(ledger.notes) == 1
        assert "dropped a torn last record" in ledger.notes[0]
        assert ledger.read() == given[:2]
        assert ledger.append(given[2]) == given[2]
    assert [json.loads(line)["op_code"] for line in path.read_text().splitlines()][-3:] == [4, 4, 4]


def test_a_last_record_that_lacks_only_its_end_of_line_is_kept(path: Path) -> None:
    space = large_space()
    given = measurements(space, 3)
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, given[:2])
    path.write_bytes(path.read_bytes()[:-1])
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        assert ledger.notes == []
        assert ledger.append(given[2]) == given[2]
        assert ledger.read() == given


def test_zeros_that_a_power_failure_left_at_the_end_are_dropped(path: Path) -> None:
    space = large_space()
    given = measurements(space, 2)
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, given)
    with path.open("ab") as file:
        file.write(bytes(200_000))
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        assert "200000 bytes" in ledger.notes[0]
        assert ledger.read() == given


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_killed_while_the_study_was_being_made_it_is_made_anew(path: Path, kept: int) -> None:
    space = large_space()
    Ledger(path, space=space, objectives=NAMES).close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    path.write_bytes(b"".join(lines[:kept]) + (lines[kept][:10] if kept < 3 else b""))
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, measurements(space, 2))
        assert len(ledger.read()) == 2


def damage(path: Path, change: Callable[[list[bytes]], None]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def _cut_middle(lines: list[bytes]) -> None:
    lines[4] = lines[4][: len(lines[4]) // 2] + b"\n"


def _scramble_middle(lines: list[bytes]) -> None:
    lines[4] = b"\0" * 50 + b"\n"


def _swap_a_value(lines: list[bytes]) -> None:
    record = json.loads(lines[5])
    record["params"]["depth"] = 9 - record["params"]["depth"]
    lines[5] = json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _foreign_trial(lines: list[bytes]) -> None:
    record = json.loads(lines[5])
    record["user_attrs"] = {}
    lines[5] = json.dumps(record, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_cut_middle, r"ledger.log: line 5 is not a record of Optuna's journal"),
        (_scramble_middle, r"ledger.log: line 5 is not a record of Optuna's journal"),
        (_swap_a_value, r"ledger.log: line 6 was not written by this search"),
        (_foreign_trial, r"ledger.log: line 6 was not written by this search"),
    ],
)
def test_damage_in_the_middle_is_an_error_that_names_the_line(
    path: Path, change: Callable[[list[bytes]], None], message: str
) -> None:
    space = large_space()
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, measurements(space, 5))
    damage(path, change)
    before = path.read_bytes()
    with pytest.raises(RunError, match=message), Ledger(path, space=space, objectives=NAMES) as ledger:
        ledger.read()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"hello", b"a: 1\nb: 2\n", b'{"op": 4}\n', b"[1]", b"\x89PNG\r\n\x1a\n", b"12"])
def test_a_file_of_another_kind_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"not.*Optuna's journal"):
        Ledger(path, space=small_space(), objectives=NAMES)
    assert path.read_bytes() == content


@pytest.mark.parametrize("storage", ["{}/ledger.log", "sqlite:///{}/trials.db"])
@pytest.mark.parametrize(
    ("space", "objectives", "message"),
    [
        (large_space(), ["error"], r"records \['error', 'latency'\] over space .*, not \['error'\]"),
        (large_space(), ["error", "macs"], r"not \['error', 'macs'\]"),
        (small_space(), NAMES, "is of another search"),
    ],
)
def test_the_ledger_of_another_search_is_refused(
    storage: str, space: SearchSpace, objectives: list[str], message: str, tmp_path: Path
) -> None:
    place = storage.format(tmp_path)
    with Ledger(place, space=large_space(), objectives=NAMES) as ledger:
        fill(ledger, measurements(large_space(), 1))
    with pytest.raises(RunError, match=message):
        Ledger(place, space=space, objectives=objectives)


def test_a_study_of_somebody_else_is_refused(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(
            study_name="search", storage=optuna.storages.JournalStorage(JournalFileBackend(str(path)))
        )
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(RunError, match="records something else"):
        Ledger(path, space=small_space(), objectives=["error"])


def test_two_studies_share_a_storage(tmp_path: Path) -> None:
    for place in (f"{tmp_path}/shared.log", f"sqlite:///{tmp_path}/shared.db"):
        given = {name: measurements(large_space(), 3, seed) for seed, name in enumerate(["one", "two"])}
        for round_ in range(3):
            for name, history in given.items():
                with Ledger(place, space=large_space(), objectives=NAMES, study_name=name) as ledger:
                    assert ledger.append(history[round_]) == history[round_]
        for name, history in given.items():
            with Ledger(place, space=large_space(), objectives=NAMES, study_name=name) as ledger:
                assert ledger.read() == history


def test_a_second_writer_is_refused_and_a_reader_is_not(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_PATIENCE", 0.1)
    space = small_space()
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, measurements(space, 1))
        with pytest.raises(RunError, match="another process is writing to this ledger"):
            Ledger(path, space=space, objectives=NAMES)
        with Ledger(path, space=space, objectives=NAMES, read_only=True) as reader:
            assert len(reader.read()) == 1
            with pytest.raises(RunError, match="not open for writing"):
                reader.append(measurements(space, 1)[0])
    Ledger(path, space=space, objectives=NAMES).close()


def test_locks_of_a_killed_process_and_of_optuna_do_not_block(path: Path) -> None:
    space = small_space()
    script = (
        "import os, signal, sys\n"
        "from automl.search import Ledger\n"
        "from automl.testing.problems import small_space\n"
        "ledger = Ledger(sys.argv[1], space=small_space(), objectives=['error', 'latency'])\n"
        "os.symlink(sys.argv[1], sys.argv[1] + '.lock')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=False)
    assert done.returncode == -9
    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, measurements(space, 1))


def test_a_full_disk_is_one_clear_error_and_loses_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = small_space()
    given = measurements(space, 3)
    real_write = os.write

    def full(descriptor: int, data: Any) -> int:
        if len(data) > 100:
            return real_write(descriptor, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Ledger(path, space=space, objectives=NAMES) as ledger:
        fill(ledger, given[:2])
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(RunError, match=r"ledger\.log: the disk is full"):
                ledger.append(given[2])
        assert path.read_bytes() == before
        assert ledger.append(given[2]) == given[2]
        assert ledger.read() == given


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{}/no/such/folder/ledger.log", "cannot be written: No such file|cannot open the ledger: No such file"),
        ("{}", "Is a directory"),
        ("sqlite:///{}/no/such/folder.db", "cannot open the storage: OperationalError"),
        ("nosuchdb://user:secret@host/x", "nosuchdb://…@host/x: cannot open the storage"),
    ],
)
def test_a_storage_that_cannot_be_opened_is_a_clear_error(place: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=message) as caught:
        Ledger(place.format(tmp_path), space=small_space(), objectives=NAMES)
    assert "secret" not in str(caught.value)


def test_reading_what_does_not_exist_is_an_error_and_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read the ledger"):
        Ledger(tmp_path / "none.log", space=small_space(), objectives=NAMES, read_only=True)
    (tmp_path / "empty.log").touch()
    with pytest.raises(RunError, match="holds no study 'search'; there are: none"):
        Ledger(tmp_path / "empty.log", space=small_space(), objectives=NAMES, read_only=True)
    assert [p.name for p in tmp_path.iterdir()] == ["empty.log"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((1.0, float("nan")), "objective 'latency' is nan; it must be a finite number"),
        ((float("inf"), 1.0), "objective 'error' is inf"),
        ((1.0, None), "objective 'latency' is None"),
        ((1.0, 2 + 1j), r"objective 'latency' is \(2\+1j\); it must be a finite number"),
        ((1.0, np.complex64(2 + 1j)), r"objective 'latency' is np.complex64\(2\+1j\); it must be a finite number"),
        ((1.0, np.bool_(True)), r"the values \[1.0, np.True_\] hold truth values"),
        (np.array([True, False]), "hold truth values"),
        (
            (1.0, np.zeros((2, 3))),
            r"objective 'latency' is array\(\[\[0., 0., 0.\], \[0., 0., 0.\]\]\); it must be a finite",
        ),
        ("ab", "the values are 'ab'; they must be a sequence"),
        ({"error": 1.0, "latency": 2.0}, "they must be a sequence, one number per objective .2."),
        ((1.0, b"2"), "objective 'latency' is b'2'"),
        ((1.0, "2"), "objective 'latency' is '2'"),
        ((1.0,), "expected 2 values .error, latency., got 1"),
        (5.0, "the values are 5.0; they must be a sequence, one number per objective .2."),
        (np.float64(5.0), "they must be a sequence"),
    ],
)
def test_values_that_are_no_finite_numbers_become_a_failure(values: Any, message: str) -> None:
    checked = Outcome(values=values, details={"kept": 1}).checked(NAMES)
    assert checked.values is None
    assert checked.details == {"kept": 1}
    assert checked.failure is not None
    assert len(checked.failure.splitlines()) == 1
    with pytest.raises(RunError, match=message):
        raise RunError(checked.failure)


def test_numpy_values_and_odd_details_are_made_plain() -> None:
    given = Outcome(
        values=np.array([1, 2], dtype=np.float32),
        violations=[np.float64(-3.0), np.int64(2)],
        details={"a": np.arange(2), "b": (np.float64(0.5), {1: Path("x")}), "c": float("nan"), "d": {True}},
    )
    checked = given.checked(NAMES)
    assert checked.values == (1.0, 2.0)
    assert checked.violations == (0.0, 2.0)
    assert json.loads(json.dumps(checked.details, allow_nan=False)) == checked.details
    assert checked.details == {"a": [0, 1], "b": [0.5, {"1": "x"}], "c": "nan", "d": [True]}


def test_a_very_long_traceback_is_shortened_in_the_middle() -> None:
    failure = Outcome(failure="first " + "x" * 100_000 + " last").checked(NAMES).failure
    assert failure is not None
    assert failure.startswith("first")
    assert failure.endswith("last")
    assert len(failure) < 21_000
