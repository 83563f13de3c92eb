"""A whole job in this process: files, resume, constraints, what the search may see, and what is exported."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from automl.errors import ConfigError, ConstraintError, ExportError, InterruptedJobError, RunError, UserError
from automl.host import Host
from automl.job import export_picked, load_supernet, measure_picked, open_ledger, pick, run_job
from automl.job_config import JobConfig, resolve_job
from automl.run_folder import Run

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load()


def _job(**settings: Any) -> JobConfig:
    assignments = [
        *("training.epochs=1", "training.validation_samples=64", "training.validation_subnets=1"),
        *("evaluation.anchors=1", "evaluation.group=3", "evaluation.validation_samples=100"),
    ]
    base: dict[str, Any] = {
        "space": "image/tiny",
        "objectives": ["error", "macs"],
        "trials": 9,
        "searcher": "random",
        "seed": 5,
    }
    return resolve_job(settings={**base, **settings}, assignments=assignments)


@pytest.fixture(scope="module")
def finished(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_job(_job(), tmp_path_factory.mktemp("runs") / "done", host=host)


def _trials(run: Run, host: Host) -> list[tuple[Any, Any]]:
    supernet, _, parts = load_supernet(run, host)
    with open_ledger(run, parts, supernet, read_only=True) as ledger:
        return [(m.architecture, m.values) for m in ledger.read()]


def test_a_job_leaves_every_file_of_a_run(finished: Run, host: Host) -> None:
    for name in (
        *(
            "job.yaml",
            "split.json",
            "training.ckpt",
            "training.json",
            "supernet.safetensors",
            "ranges.json",
            "ledger.log",
        ),
        *("searcher.json", "front.json", "front.png", "report.html"),
    ):
        assert finished.path(name).stat().st_size > 0, name
    assert not list(finished.folder.glob("*.partial"))
    front = finished.read_json("front.json")
    assert front["trials"]["complete"] == len(_trials(finished, host)) == 9
    assert {"smallest", "largest", "random"} <= set(finished.read_json("ranges.json")["anchors"])


def test_front_members_are_the_nondominated_trials(finished: Run, host: Host) -> None:
    values = {a.id: v for a, v in _trials(finished, host)}
    best = {
        i
        for i, v in values.items()
        if not any(all(x <= y for x, y in zip(w, v, strict=True)) and w != v for w in values.values())
    }
    members = finished.read_json("front.json")["members"]
    assert {m["id"] for m in members} <= best
    assert {tuple(m["measured"][n]["value"] for n in ("error", "macs")) for m in members} == {values[i] for i in best}


def test_a_finished_run_is_left_as_it_is_and_more_trials_extend_it(host: Host, finished: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir() if p.is_file()}
    run = run_job(_job(), folder, host=host)
    changed = {p.name for p in folder.iterdir() if p.is_file() and before.get(p.name) != p.stat().st_mtime_ns}
    assert changed <= {".lock", "ledger.log.lock"}
    history = _trials(run, host)
    longer = run_job(_job(trials=12), folder, host=host)
    assert _trials(longer, host)[:9] == history
    assert len(_trials(longer, host)) == 12


def test_the_same_seed_gives_the_same_history_and_another_one_another(
    host: Host, tmp_path: Path, finished: Run
) -> None:
    again = run_job(_job(), tmp_path / "again", host=host)
    assert _trials(again, host) == _trials(finished, host)[:9]
    other = run_job(_job(seed=6), tmp_path / "other", host=host)
    assert _trials(other, host) != _trials(again, host)


@pytest.mark.parametrize("after", [1, 17, 18])
def test_a_stopped_job_continues_to_the_same_result(host: Host, tmp_path: Path, finished: Run, after: int) -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > after

    with contextlib.suppress(InterruptedJobError):
        run_job(_job(), tmp_path / "run", host=host, stop=stop)
    assert calls > after, "the job was never asked whether to stop"
    run = run_job(_job(), tmp_path / "run", host=host)
    assert _trials(run, host) == _trials(finished, host)[:9]
    assert run.path("supernet.safetensors").read_bytes() == finished.path("supernet.safetensors").read_bytes()


def test_search_never_evaluates_the_test_part_before_the_front(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl.tasks.image_classification import ImageClassification

    parts: list[str] = []
    evaluate = ImageClassification.evaluate

    def recording(self: Any, model: Any, part: Any, *args: Any, **options: Any) -> Any:
        parts.append(part)
        return evaluate(self, model, part, *args, **options)

    monkeypatch.setattr(ImageClassification, "evaluate", recording)
    run = run_job(_job(trials=4), tmp_path / "run", host=host)
    members = len(run.read_json("front.json")["members"])
    assert parts.count("test") == members
    assert parts.index("test") > max(i for i, p in enumerate(parts) if p == "validation") - 1


def test_constraints_are_met_and_impossible_ones_stop_before_the_search(
    host: Host, tmp_path: Path, finished: Run
) -> None:
    anchors = finished.read_json("ranges.json")["anchors"]
    bound = (anchors["smallest"]["values"]["macs"] + anchors["largest"]["values"]["macs"]) / 2
    run = run_job(_job(constraints=[f"macs<={bound:.0f}"], trials=12), tmp_path / "met", host=host)
    for member in run.read_json("front.json")["members"]:
        assert member["measured"]["macs"]["value"] <= bound
    notes: list[str] = []
    with pytest.raises(ConstraintError, match=r"can meet: params<=3 \(params lies between"):
        run_job(_job(constraints=["params<=3"]), tmp_path / "impossible", host=host, progress=_Notes(notes))
    assert not (tmp_path / "impossible" / "ledger.log").exists()
    assert any("params<=3: params of smallest, largest and random subnetworks lies between" in n for n in notes)


class _Notes:
    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None: ...
    def advance(self, steps: int = 1, status: str = "") -> None: ...
    def end(self) -> None: ...
    def note(self, message: str) -> None:
        self._notes.append(message)


def test_one_failing_candidate_is_recorded_and_does_not_end_the_run(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from automl.objectives.macs import Macs

    measure, calls = Macs.measure, 0

    def failing(self: Macs, candidate: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 4 == 0:
            raise MemoryError("not enough memory")
        return measure(self, candidate)

    monkeypatch.setattr(Macs, "measure", failing)
    run = run_job(_job(), tmp_path / "run", host=host)
    trials = run.read_json("front.json")["trials"]
    assert trials["failed"] > 0
    assert trials["complete"] + trials["failed"] == 9
    assert "not enough memory" in run.path("ledger.log").read_text()


def test_picks(finished: Run) -> None:
    members = finished.read_json("front.json")["members"]
    assert pick(finished, "all-front") == members
    assert pick(finished, members[0]["id"]) == pick(finished, members[0]["id"][:6]) == members[:1]
    best = pick(finished, "best:error")[0]
    assert best["measured"]["error"]["value"] == min(m["measured"]["error"]["value"] for m in members)
    assert pick(finished, "knee")[0] in members
    with pytest.raises(ConfigError, match=r"--pick best:eror: .*Did you mean 'best:error'"):
        pick(finished, "best:eror")


def test_an_exported_file_reproduces_what_was_searched(finished: Run, host: Host) -> None:
    (result,) = export_picked(finished, "best:error", ["pt2", "onnx", "safetensors"], host=host)
    member = pick(finished, "best:error")[0]
    _, task, _ = load_supernet(finished, host)
    folder = finished.path("exports") / member["id"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["architecture"] == member["architecture"]
    assert result.paths
    model = torch.export.load(next(folder.glob("*.pt2"))).module()
    wrong = total = 0
    for batch in task.batches("validation", 64, limit=100):
        wrong += int((model(*batch.inputs).argmax(1) != batch.target).sum())
        total += len(batch.target)
    assert wrong / total == pytest.approx(member["measured"]["error"]["value"])


def test_changed_weights_fail_the_export_and_leave_nothing(host: Host, tmp_path: Path) -> None:
    run = run_job(_job(trials=3), tmp_path / "run", host=host)
    supernet, _, _ = load_supernet(run, host)
    with torch.no_grad():
        for parameter in supernet.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    supernet.save(run.path("supernet.safetensors"))
    with pytest.raises(ExportError, match=r"error was .* in the search and is"):
        export_picked(run, "all-front", ["pt2"], host=host)
    assert not list((run.folder / "exports").glob("*")) if (run.folder / "exports").exists() else True


def test_picked_members_are_measured_in_a_runtime(finished: Run, host: Host) -> None:
    rows = measure_picked(finished, "all-front", "eager", host=host, options={"repeats": 3, "warmup": 1})
    assert [r["id"] for r in rows] == [m["id"] for m in finished.read_json("front.json")["members"]]
    for row in rows:
        assert 0 < row["low"] <= row["value"] <= row["high"]
        assert row["context"]["runtime"] == "eager"


DAMAGE: list[tuple[str, Callable[[Path], Any], str]] = [
    ("ledger.log", lambda p: p.write_text("not a journal\n"), "ledger.log"),
    ("supernet.safetensors", lambda p: p.write_bytes(p.read_bytes()[:99]), "supernet.safetensors: damaged or foreign"),
    ("split.json", lambda p: p.write_text('{"train": ['), "split.json: damaged"),
    ("split.json", lambda p: p.write_text('{"train": [0], "validation": [1], "test": [99999]}'), "split"),
    ("job.yaml", lambda p: p.write_text("space: [\n"), "job.yaml:"),
]


@pytest.mark.parametrize(("name", "damage", "message"), DAMAGE)
def test_damaged_files_are_named(
    host: Host, tmp_path: Path, finished: Run, name: str, damage: Callable[[Path], Any], message: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    damage(folder / name)
    with pytest.raises(UserError, match=message):
        run_job(Run.open(finished.folder).job, folder, host=host)


def test_a_damaged_checkpoint_is_named(host: Host, tmp_path: Path, finished: Run) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    (folder / "supernet.safetensors").unlink()
    (folder / "training.ckpt").write_bytes((folder / "training.ckpt").read_bytes()[:100])
    with pytest.raises(RunError, match=r"training.ckpt"):
        run_job(Run.open(finished.folder).job, folder, host=host)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"space": "image/tinny"}, "unknown space 'image/tinny'. Did you mean 'image/tiny'"),
        ({"searcher": "evolutoin"}, "unknown searcher 'evolutoin'. Did you mean 'evolution'"),
        ({"searcher": "optuna:TPESampla"}, "TPESampla.*Did you mean 'TPESampler'"),
        ({"searcher_options": {"popultion": 3}}, "unknown option 'popultion'"),
        ({"strategy": "sandwhich"}, "unknown strategy 'sandwhich'. Did you mean 'sandwich'"),
        ({"objectives": ["latencey"]}, "unknown objective 'latencey'. Did you mean 'latency'"),
        ({"objectives": ["error", {"latency": {"runtime": "onnxrt"}}]}, "unknown runtime 'onnxrt'"),
        ({"objectives": ["error", {"latency": {"thread": 1}}]}, "unknown option 'thread'. Did you mean 'threads'"),
        ({"constraints": ["latncy<2ms"]}, "unknown objective 'latncy'. Did you mean 'latency'"),
        ({"constraints": ["latency<2kB"]}, "constraint 'latency<2kB'"),
        ({"task": "image-classificaton"}, "unknown task 'image-classificaton'"),
        ({"task": "node-classification"}, "node-classification"),
        ({"data": "no/such/place.npz"}, "no/such/place.npz"),
        ({"task_options": {"augmnt": "none"}}, "unknown option 'augmnt'. Did you mean 'augment'"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    host: Host, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        run_job(_job(**{"searcher": "evolution", **settings}), tmp_path / "run", host=host)
    assert not (tmp_path / "run").exists()
