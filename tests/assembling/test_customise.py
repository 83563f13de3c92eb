"""Networks assembled from a finished run: proven, within limits, the same after a kill, exportable; mistakes in a line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_cli.main import run as command

from automl.assembling import Assembled, assemble, export_assembled
from automl.assembling.head import keep_classes
from automl.assembling.selection import prove_equal
from automl.assembling.survey import survey_supernet
from automl.errors import ConstraintError, ExportError
from automl.host import Host
from automl.job import load_supernet, make_evaluator, run_job
from automl.job.opened import open_ledger
from automl.job_config import resolve_job
from automl.objectives.macs import count_macs
from automl.progress import SilentProgress
from automl.run_folder import Run
from automl.space import Architecture
from automl.supernet import calibrate
from automl.tasks.class_subset import ClassSubset
from automl.testing.active_weights import active_weights

pytest.importorskip("automl_vision", reason="the space of this job uses blocks of automl-vision")

SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [4, 6, 9], stride: 2}
  stage1: {from: stem, blocks: [vision.mbconv, vision.residual], width: [6, 8, 11], depth: [1, 2]}
output: stage1
"""


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load()


@pytest.fixture(scope="module")
def fresh(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "small.yaml").write_text(SPACE)
    rng = np.random.default_rng(0)
    y = np.arange(160) % 4
    x = rng.normal(size=(160, 1, 7, 5)) + y[:, None, None, None]
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=y)
    job = resolve_job(
        settings={
            "space": str(folder / "small.yaml"),
            "data": str(folder / "data.npz"),
            "objectives": ["error", "macs"],
        }
        | {"trials": 4, "searcher": "random", "seed": 5},
        assignments=["training.epochs=2", "training.validation_subnets=1", "evaluation.anchors=1"],
    )
    return run_job(job, folder / "runs" / "done", host=host)


def ask(run: Run, host: Host, *constraints: str, classes: tuple[str, ...] = ()) -> Assembled:
    return assemble(run, constraints, classes, host=host, surveyed=24, steps=40)


@pytest.fixture(scope="module")
def run(fresh: Run, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A copy with a trained assembler."""
    folder = tmp_path_factory.mktemp("ready") / "ready"
    shutil.copytree(fresh.folder, folder)
    opened = Run.open(folder)
    ask(opened, host, "params<=1M")
    return opened


def test_what_is_assembled_equals_the_subnetwork_and_knows_the_asked_classes_only(run: Run, host: Host) -> None:
    made = ask(run, host, "params<=1M", classes=("3,1",))
    supernet, task, _ = load_supernet(run, host)
    (images,) = task.example_inputs(3)
    whole = supernet.extract(made.architecture)
    (last,) = [m for m in made.model.modules() if isinstance(m, torch.nn.Linear)][-1:]
    assert made.result["difference"] <= 1e-5
    assert made.model(images).shape == (3, 2)
    assert torch.equal(last.weight, whole.head.linear.weight[[3, 1]])  # type: ignore[union-attr, index]
    removed = 2 * (last.in_features + 1)
    expected = sum(p.numel() for p in whole.parameters()) - removed
    assert sum(p.numel() for p in made.model.parameters()) == made.result["costs"]["params"]["value"] == expected
    assert made.result["samples"]["validation"] == sum(len(b.target) for b in made.task.batches("validation", 7))


def test_a_network_of_other_weights_fails_the_proof(run: Run, host: Host) -> None:
    supernet, task, _ = load_supernet(run, host)
    architecture = supernet.space.largest()
    model = supernet.extract(architecture)
    assert prove_equal(supernet, architecture, model, range(4), task.example_inputs(3)) <= 1e-5
    with torch.no_grad():
        next(model.parameters()).mul_(1.01)
    with pytest.raises(ExportError, match="does not equal the subnetwork"):
        prove_equal(supernet, architecture, model, range(4), task.example_inputs(3))


def test_weights_behind_closed_gates_change_nothing_get_no_gradient_and_cost_nothing(run: Run, host: Host) -> None:
    supernet, task, _ = load_supernet(run, host)
    architecture = supernet.space.smallest()
    active = active_weights(supernet, architecture)
    assert active is not None
    assert not all(mark.all() for mark in active.values())
    supernet.activate(architecture)
    (images,) = task.example_inputs(5)
    outputs = supernet.eval()(images)
    outputs.square().sum().backward()
    with torch.no_grad():
        for name, parameter in supernet.network.named_parameters():
            assert parameter.grad is None or not parameter.grad[~active[name]].any()
            parameter[~active[name]] = torch.randn_like(parameter)[~active[name]]
        assert torch.equal(supernet(images), outputs)
    macs = [count_macs(supernet.extract(a), (images[:1],)) for a in (architecture, supernet.space.largest())]
    assert macs[0] < macs[1] / 2


def test_statistics_are_those_of_the_assembled_network_over_training_samples(run: Run, host: Host) -> None:
    made = ask(run, host, "params<=3k", classes=("3,1",))
    supernet, task, _ = load_supernet(run, host)
    whole, own = supernet.extract(made.architecture), run.job.evaluation
    before = {name: tensor.clone() for name, tensor in whole.named_buffers()}
    batches = task.calibration_batches(run.job.seed, own.calibration_samples, own.calibration_batch_size)
    calibrate(whole, (batch.inputs for batch in batches))
    found = dict(made.model.named_buffers())
    means = [name for name in before if name.endswith("running_mean")]
    assert means
    assert all(torch.allclose(found[name], dict(whole.named_buffers())[name], atol=1e-6) for name in means)
    assert any(not torch.allclose(found[name], before[name], atol=1e-3) for name in means)


def test_every_feasible_limit_is_met_and_costs_grow_with_it(run: Run, host: Host) -> None:
    rng = np.random.default_rng(3)
    supernet, _, _ = load_supernet(run, host)
    high = sum(p.numel() for p in supernet.extract(supernet.space.largest()).parameters())
    with pytest.raises(ConstraintError, match="smallest 'params' is") as caught:
        ask(run, host, "params<=7", classes=("0,2",))
    low = float(str(caught.value).rstrip(".").split(" is ")[-1])
    for classes in ("0,2", "3,1,2"):
        costs = []
        for limit in sorted(rng.uniform(low + 40, 1.1 * high, size=4).round()):
            made = ask(run, host, f"params<={limit:.0f}", classes=(classes,))
            costs.append(made.result["costs"]["params"]["value"])
            assert costs[-1] <= limit
        assert costs == sorted(costs)


def test_two_limits_hold_together(run: Run, host: Host) -> None:
    made = ask(run, host, "params<=2k", "macs<=9k")
    assert made.result["costs"]["params"]["value"] <= 2000
    assert made.result["costs"]["macs"]["value"] <= 9000


def test_controls_are_the_best_of_the_ledger_and_random_networks_within_the_limits(run: Run, host: Host) -> None:
    made = assemble(run, ["params<=2k"], ["3,1"], host=host, surveyed=24, steps=40, compare=True)
    controls = made.result["controls"]
    supernet, task, parts = load_supernet(run, host)
    asked = ClassSubset(task, [3, 1])
    with open_ledger(run, parts, supernet, read_only=True) as ledger:
        measured = sorted(ledger.read(), key=lambda m: (m.values[0], m.architecture.id))

    def params(architecture: Architecture) -> int:
        model = keep_classes(supernet.extract(architecture), [3, 1], 4, task.example_inputs(2))
        return sum(p.numel() for p in model.parameters())

    best = next(m.architecture for m in measured if params(m.architecture) <= 2000)
    assert controls["ledger"]["id"] == best.id
    candidate, _ = make_evaluator(run, parts, supernet, task).candidate(best)
    model = keep_classes(candidate.model, [3, 1], 4, task.example_inputs(2))
    assert controls["ledger"]["errors"]["test"] == asked.evaluate(model, "test", 64)["error"]
    assert 1 <= controls["random"]["networks"] <= 8
    assert 0 <= controls["random"]["errors"]["test"] <= 1
    assert "controls" not in ask(run, host, "params<=2k", classes=("3,1",)).result


def test_nothing_is_trained_after_the_first_call(run: Run, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(run, host, "params<=3k", classes=("1,2",))
    files = {path: path.read_bytes() for path in run.path("assembler").iterdir()}

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a backward pass at customisation")

    monkeypatch.setattr(torch.Tensor, "backward", refuse)
    again = ask(run, host, "params<=3k", classes=("1,2",))
    assert {k: v for k, v in first.result.items() if k != "seconds"} == {
        k: v for k, v in again.result.items() if k != "seconds"
    }
    assert {path: path.read_bytes() for path in run.path("assembler").iterdir()} == files


def test_after_a_kill_the_same_call_ends_with_the_same_files(
    fresh: Run, run: Run, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(fresh.folder, tmp_path / "killed")
    killed = Run.open(tmp_path / "killed")

    class Killed(BaseException):
        pass

    class Killing(SilentProgress):
        def __init__(self, stage: str, after: int) -> None:
            self.stage, self.left, self.now = stage, after, ""

        def begin(self, stage: str, total: int | None, unit: str, completed: int = 0) -> None:
            self.now = stage

        def advance(self, steps: int = 1, status: str = "") -> None:
            self.left -= steps if self.stage in self.now else 0
            if self.left < 0:
                raise Killed

    monkeypatch.setattr("automl.assembling.training._CHECKPOINT", 15)
    for stage, after in (("surveying", 10), ("assembler", 20)):
        with pytest.raises(Killed):
            assemble(killed, ["params<=1M"], host=host, surveyed=24, steps=40, progress=Killing(stage, after))
    ask(killed, host, "params<=1M")
    for name in ("survey.safetensors", "params.safetensors", "costs-params.json"):
        assert (killed.path("assembler") / name).read_bytes() == (run.path("assembler") / name).read_bytes()


def test_a_damaged_assembler_is_made_anew(run: Run, host: Host) -> None:
    path = run.path("assembler") / "params.safetensors"
    before = path.read_bytes()
    path.write_bytes(before[:100])
    ask(run, host, "params<=1M")
    assert path.read_bytes() == before


def test_a_survey_holds_the_ledger_and_scores_any_classes(run: Run, host: Host) -> None:
    supernet, task, parts = load_supernet(run, host)
    evaluator = make_evaluator(run, parts, supernet, task)
    survey = survey_supernet(run, [], supernet, task, evaluator, SilentProgress())
    measured = {m["id"] for m in run.read_json("front.json")["members"]}
    assert measured <= {a.id for a in survey.architectures}
    candidate, _ = evaluator.candidate(survey.architectures[1])
    (batch,) = list(task.batches("validation", 999))
    rows = (batch.target == 3) | (batch.target == 1)
    chances = candidate.model(*batch.inputs)[rows][:, [3, 1]].softmax(1)
    right = torch.where(batch.target[rows] == 3, chances[:, 0], chances[:, 1])
    assert survey.soft_errors([3, 1])[1].item() == pytest.approx((1 - right.mean()).item(), abs=2e-3)  # kept as halves


@pytest.mark.slow
def test_an_export_is_proven_and_names_the_classes(run: Run, host: Host) -> None:
    made = ask(run, host, "params<=3k", classes=("2,0,1",))
    exported = export_assembled(run, made, ["safetensors", "pt2"], host=host)
    assert set(exported.paths) == {"safetensors", "pt2"}
    assert exported.manifest["task"]["classes"] == ["2", "0", "1"]
    assert exported.folder == run.path("assembled") / made.result["id"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--constraint", "parms<=2k"], "unknown objective 'parms'. Did you mean 'params'"),
        (["--constraint", "error<=3%"], "limits are on costs"),
        (["--constraint", "params>=2k"], "expected one upper bound"),
        ([], "name at least one limit"),
        (["--constraint", "params<=2k", "--classes", "0,9"], "--classes: unknown class '9'"),
        (["--constraint", "params<=2k", "--classes", "0,0"], "a class is named twice"),
        (["--constraint", "params<=2k", "--classes", "0"], "name at least two classes"),
        (["--constraint", "params<=2k", "--to", "onx"], "--to: unknown exporter 'onx'"),
    ],
)
def test_mistakes_are_one_line(
    run: Run, options: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert command(["assemble", str(run.folder), *options]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
