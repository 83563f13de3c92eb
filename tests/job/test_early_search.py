"""A job whose searcher measures during training: the training is unchanged, and a kill at any moment changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from automl.errors import ConfigError, RunError
from automl.host import Host
from automl.job import load_supernet, open_ledger, run_job
from automl.job.early_search import EarlySearch
from automl.job.evaluation import Evaluator
from automl.job_config import JobConfig, resolve_job
from automl.run_folder import Run
from automl.search.ledger import Ledger
from automl.training import TrainingConfig, loop

pytest.importorskip("automl_vision", reason="the space of these jobs uses blocks of automl-vision")

EPOCHS = 4


class Killed(BaseException):
    """Stands for the end of the process: nothing of the library catches it."""


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "few.npz"
    digits = load_digits()
    np.savez(path, x=digits.images[:240].astype(np.float32), y=digits.target[:240])
    return path


@pytest.fixture(scope="module")
def job(data: Path) -> Callable[..., JobConfig]:
    def make(**settings: Any) -> JobConfig:
        assignments = [
            *(f"training.epochs={EPOCHS}", "training.validation_subnets=1", "training.calibration_samples=32"),
            *("evaluation.anchors=1", "evaluation.group=3", "evaluation.calibration_samples=32"),
        ]
        base: dict[str, Any] = {
            "space": "image/tiny",
            "data": str(data),
            "objectives": ["error", "macs"],
            "trials": 7,
            "searcher": "concurrent",
            "searcher_options": {"early": 3, "first": 5, "initial": 6},
            "seed": 5,
        }
        return resolve_job(settings={**base, **settings}, assignments=assignments)

    return make


@pytest.fixture(scope="module")
def finished(host: Host, job: Callable[..., JobConfig], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_job(job(), tmp_path_factory.mktemp("runs") / "done", host=host)


def _lines(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.path("early.jsonl").read_text().splitlines()]


def _trials(run: Run, host: Host) -> list[tuple[Any, Any]]:
    supernet, _, parts = load_supernet(run, host)
    with open_ledger(run, parts, supernet, read_only=True) as ledger:
        return [(m.architecture, m.values) for m in ledger.read()]


def _history(run: Run) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k != "seconds"} for record in run.read_json("training.json")]


def _equal(run: Run, other: Run, host: Host) -> None:
    assert run.path("early.jsonl").read_bytes() == other.path("early.jsonl").read_bytes()
    assert run.path("supernet.safetensors").read_bytes() == other.path("supernet.safetensors").read_bytes()
    assert _history(run) == _history(other)
    assert _trials(run, host) == _trials(other, host)


@pytest.mark.parametrize("ema", [0.0, 0.99])  # where weights are averaged, they are put back after measuring
def test_training_has_the_same_bits_with_and_without_early_measurements(
    host: Host, job: Callable[..., JobConfig], tmp_path: Path, ema: float
) -> None:
    training = {**job().to_dict()["training"], "ema": ema}
    kinds = {"concurrent": {"early": 3, "first": 5, "initial": 6}, "random": {}}
    early, plain = (
        run_job(
            job(searcher=name, searcher_options=options, trials=1).model_copy(
                update={"training": TrainingConfig(**training)}
            ),
            tmp_path / name,
            host=host,
        )
        for name, options in kinds.items()
    )
    assert early.has("early.jsonl")
    assert not plain.has("early.jsonl")
    assert early.path("supernet.safetensors").read_bytes() == plain.path("supernet.safetensors").read_bytes()
    assert _history(early) == _history(plain)


def test_each_epoch_has_its_line_and_the_search_starts_with_those_of_the_last(finished: Run, host: Host) -> None:
    *epochs, last = _lines(finished)
    assert [line["epoch"] for line in epochs] == [2, 3]
    for line in epochs:
        assert len(line["measured"]) == 3
        assert all(len(entry["values"]) == 2 for entry in line["measured"])
    trials = _trials(finished, host)
    assert len(trials) == 7
    assert [dict(architecture) for architecture, _ in trials[:5]] == last["first"]
    early = {entry["id"]: entry["values"] for line in epochs for entry in line["measured"]}
    again = {architecture.id: values for architecture, values in trials if architecture.id in early}
    assert again
    assert all(values[1] == early[i][1] for i, values in again.items()), "costs do not depend on the weights"
    assert any(values[0] != early[i][0] for i, values in again.items()), "errors are measured with other weights"


def test_early_errors_are_those_of_the_averaged_weights_of_their_epoch(
    host: Host, job: Callable[..., JobConfig], finished: Run, tmp_path: Path
) -> None:
    # No file holds the weights of earlier epochs, so the last epoch is asked for here: the search measures its weights.
    largest = load_supernet(finished, host)[0].space.largest()

    def ask_early(self: Any, epoch: int, epochs: int, history: Any) -> list[Any]:
        return [largest] if epoch == epochs else []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("automl.search.concurrent.Concurrent.ask_early", ask_early)
        run = run_job(job(trials=6), tmp_path / "run", host=host)
    seen = {line["epoch"]: line["measured"] for line in _lines(run) if "epoch" in line}
    final = dict(_trials(run, host))
    assert seen[EPOCHS][0]["values"] == list(final[largest])


class _Moment:
    """Kills at the ``number``-th call of a function, before or after it has done its work."""

    def __init__(self, owner: Any, name: str, number: int, *, after: bool) -> None:
        self.owner, self.name, self.number, self.after = owner, name, number, after

    def __enter__(self) -> None:
        function, calls = getattr(self.owner, self.name), 0

        def killing(*args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == self.number and not self.after:
                raise Killed
            result = function(*args, **options)
            if calls == self.number:
                raise Killed
            return result

        self._function = function
        setattr(self.owner, self.name, killing)

    def __exit__(self, *_: object) -> None:
        setattr(self.owner, self.name, self._function)

    def __repr__(self) -> str:
        return f"{'after' if self.after else 'before'} call {self.number} of {self.name}"


MOMENTS = [
    _Moment(Evaluator, "__call__", 1, after=True),  # measured after epoch 2, but in no file
    _Moment(EarlySearch, "_write", 1, after=True),  # in the file, but epoch 2 is in no checkpoint
    _Moment(loop, "write_checkpoint", 3, after=True),  # the third, as the first is the start: epoch 2 is complete
    _Moment(Evaluator, "__call__", 2, after=False),
    _Moment(loop, "write_checkpoint", 4, after=False),
    _Moment(EarlySearch, "_write", 3, after=False),  # training is over, nothing is chosen
    _Moment(EarlySearch, "_write", 3, after=True),
    _Moment(Ledger, "append", 2, after=True),  # among the chosen
    _Moment(Ledger, "append", 6, after=True),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=repr)
def test_a_killed_job_that_is_started_again_equals_one_that_was_not(
    host: Host, job: Callable[..., JobConfig], finished: Run, tmp_path: Path, moment: _Moment
) -> None:
    with moment, pytest.raises(Killed):
        run_job(job(), tmp_path / "run", host=host)
    _equal(run_job(job(), tmp_path / "run", host=host), finished, host)


def test_a_candidate_that_fails_early_is_recorded_and_touches_no_other(
    host: Host, job: Callable[..., JobConfig], finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate, broken = Evaluator.__call__, _lines(finished)[0]["measured"][2]["id"]

    def failing(self: Evaluator, architectures: Any) -> Any:
        if any(architecture.id == broken for architecture in architectures):
            raise MemoryError("not enough memory")
        return evaluate(self, architectures)

    monkeypatch.setattr(Evaluator, "__call__", failing)
    run = run_job(job(trials=6), tmp_path / "run", host=host)
    entries = _lines(run)[0]["measured"]
    assert [entry["values"] is None for entry in entries] == [False, False, True]
    assert "not enough memory" in entries[2]["failure"]
    assert entries[:2] == _lines(finished)[0]["measured"][:2]


def test_warm_start_comes_first(host: Host, job: Callable[..., JobConfig], finished: Run, tmp_path: Path) -> None:
    run = run_job(job(warm_start=["ends"], trials=6), tmp_path / "run", host=host)
    asked = [dict(architecture) for architecture, _ in _trials(run, host)]
    space = load_supernet(run, host)[0].space
    ends = [dict(space.smallest()), dict(space.largest())]
    assert asked[:2] == ends
    chosen = [architecture for architecture in _lines(finished)[-1]["first"] if architecture not in ends]
    assert asked[2:] == chosen[:4] if len(chosen) >= 4 else asked[2 : 2 + len(chosen)] == chosen


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:99], "early.jsonl: line 1 is damaged"),
        (lambda text: text.replace('"epoch": 3', '"epoch": "x"'), "early.jsonl: line 2 is damaged"),
        (lambda text: text.replace("stem.width", "stem.widht"), r"early.jsonl: line 1 is damaged: .*stem.wid"),
    ],
)
def test_a_damaged_file_is_named(
    host: Host,
    job: Callable[..., JobConfig],
    finished: Run,
    tmp_path: Path,
    damage: Callable[[str], str],
    message: str,
) -> None:
    shutil.copytree(finished.folder, tmp_path / "run")
    path = tmp_path / "run" / "early.jsonl"
    path.write_text(damage(path.read_text()))
    with pytest.raises(RunError, match=message):
        run_job(job(), tmp_path / "run", host=host)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 1.5}, "start is 1.5; it must be at least 0 and below 1"),
        ({"erly": 3}, "searcher_options: unknown option 'erly'. Did you mean 'early'"),
        ({"early": "many"}, "searcher_options"),
    ],
)
def test_wrong_options_are_told_before_anything_is_written(
    host: Host, job: Callable[..., JobConfig], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        run_job(job(searcher_options=options), tmp_path / "run", host=host)
    assert not (tmp_path / "run").exists()
