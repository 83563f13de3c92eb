"""One front for subnets, stitches, tickets and finalists: how they are made, measured alike, stopped, resumed and exported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from automl.errors import ConfigError, InterruptedJobError, UserError
from automl.host import Host
from automl.job import export_picked, measure_picked, prune_picked, run_job
from automl.job.candidates.all_kinds import KINDS, rebuild_member
from automl.job.candidates.kind import Network, measure_networks, spread, spread_over_front
from automl.job.front import pick_members, pick_subnets
from automl.job.opened import OpenRun, open_ledger, open_run
from automl.job.pruning import PruneRequest
from automl.job_config import JobConfig, resolve_job
from automl.objectives.candidate import Candidate
from automl.objectives.objective import Objective
from automl.objectives.params import count_params
from automl.objectives.sparse_size import sparse_bytes
from automl.objectives.value import Value
from automl.progress import SilentProgress
from automl.run_folder import Run
from automl.search.measurement import Measurement
from automl.search.pareto import pareto_front

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")

SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [4, 6], stride: 2}
  stage1: {from: stem, blocks: [vision.mbconv, vision.residual], width: [6, 8], depth: [2, 3]}
output: stage1
"""


def job(folder: Path, **settings: Any) -> JobConfig:
    (folder / "small.yaml").write_text(SPACE)
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    x = rng.normal(size=(120, 1, 7, 5)) + y[:, None, None, None]
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=y)
    given: dict[str, Any] = {
        "space": str(folder / "small.yaml"),
        "data": str(folder / "data.npz"),
        "objectives": ["error", "macs"],
        "candidates": ["subnets", "stitches", "tickets", "finalists"],
        "tickets": {"members": 2, "sparsities": [0.7], "training": {"epochs": 1}},
        "stitches": {"trials": 6, "training": {"epochs": 1}},
        "finalists": {"members": 2, "training": {"epochs": 1}},
        "trials": 6,
        "searcher": "random",
        "seed": 5,
    }
    assignments = [
        "training.epochs=2",
        "training.validation_subnets=1",
        "evaluation.anchors=1",
        "training.batch_size=16",
    ]
    return resolve_job(settings={**given, **settings}, assignments=assignments)


@pytest.fixture(scope="module")
def finished(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("jobs")
    return run_job(job(folder), folder / "runs" / "done", host=host)


def never() -> bool:
    return False


def test_all_kinds_are_measured_and_the_front_is_the_best_of_all(
    finished: Run, opened: OpenRun, history: list[Measurement]
) -> None:
    front = finished.read_json("front.json")
    entrants = [e for kind in KINDS.values() for e in kind.enter(opened, history, SilentProgress(), never)[0]]
    assert front["kinds"] == {
        "subnet": 6,
        "stitch": sum(e.kind == "stitch" for e in entrants),
        "ticket": 2,
        "finalist": 2,
    }
    assert front["kinds"]["stitch"] > 2
    assert [o["name"] for o in front["objectives"]] == ["error", "macs", "sparse-size"]
    values = np.array([e.measurement.values for e in entrants])
    assert {m["id"] for m in front["members"]} == {entrants[i].id for i in pareto_front(values)}
    assert len({e.id for e in entrants}) == len(entrants)
    for member in front["members"]:
        assert set(member["measured"]) == {"error", "macs", "sparse-size"}
        assert "error" in member["test"]
    assert "ticket" in {m["kind"] for m in front["members"]}  # the sparsest network of the cheapest member


def test_values_of_every_kind_are_those_of_its_network(opened: OpenRun, history: list[Measurement]) -> None:
    for kind in KINDS.values():
        entrants, problems = kind.enter(opened, history, SilentProgress(), never)
        assert not problems
        for entrant in entrants[-2:]:
            network = entrant.build()
            model, error = (
                network.candidate.model,
                opened.task.evaluate(network.candidate.model, "validation", 16)["error"],
            )
            values = dict(zip(("error", "macs", "sparse-size"), entrant.measurement.values or (), strict=True))
            assert values["error"] == pytest.approx(error)
            assert values["sparse-size"] == sparse_bytes(model)


class Clock(Objective):
    """A time that no two measurements agree on: the later, the shorter."""

    name = "latency"
    repeatable = False

    def __init__(self) -> None:
        self.reading = 100.0

    def measure(self, candidate: Candidate) -> Value:
        self.reading -= 1
        return Value(self.reading)


def test_masked_network_never_seems_faster_than_its_dense_base(opened: OpenRun, history: list[Measurement]) -> None:
    tickets = [entrant.build() for entrant in KINDS["tickets"].enter(opened, history, SilentProgress(), never)[0]]
    bases = [e.build() for e in KINDS["subnets"].enter(opened, history, SilentProgress(), never)[0]]
    for networks in ([*bases, *tickets], [*tickets, *bases]):
        values = measure_networks(opened.evaluator, networks, [Clock(), *opened.parts.objectives])
        found: dict[str, set[float]] = {}
        for network, value in zip(networks, values, strict=True):
            assert isinstance(value, dict)
            found.setdefault(network.timing, set()).add(value["latency"].value)
        assert all(len(times) == 1 for times in found.values())
        assert len(found) == len(bases)
    macs = [o for o in opened.parts.objectives if o.name == "macs"]
    for ticket in tickets:
        assert ticket.dense is not None
        plain = Network(ticket.dense, opened.task, {}, "", "base")
        (dense,), (masked,) = (measure_networks(opened.evaluator, [n], macs) for n in (plain, ticket))
        assert dense == masked
        assert sparse_bytes(ticket.candidate.model) < sparse_bytes(ticket.dense.model)


def test_channel_ticket_is_smaller_in_every_cost_and_no_objective_is_added(host: Host, tmp_path: Path) -> None:
    settings = {
        "members": 1,
        "sparsities": [0.5],
        "options": {"granularity": "channel"},
        "training": {"epochs": 1},
    }
    run = run_job(job(tmp_path, candidates=["subnets", "tickets"], tickets=settings), tmp_path / "run", host=host)
    assert run.job.objective_names == ["error", "macs"]
    opened = open_run(run, host)
    with open_ledger(run, opened.parts, opened.supernet, read_only=True) as ledger:
        history = ledger.read()
    ((entrant,), problems) = KINDS["tickets"].enter(opened, history, SilentProgress(), never)
    network = entrant.build()
    base = next(m for m in history if m.architecture == entrant.measurement.architecture)
    assert not problems
    assert network.dense is None
    assert network.timing == entrant.id
    assert entrant.measurement.values is not None
    assert base.values is not None
    assert entrant.measurement.values[1] < base.values[1]
    dense = opened.supernet.extract(base.architecture)
    assert count_params(network.candidate.model) < count_params(dense)


def comparable(front: dict[str, Any]) -> dict[str, Any]:
    trials = {key: value for key, value in front["trials"].items() if key != "seconds"}
    return {**front, "trials": trials, "machine": None}


def test_job_that_is_stopped_anywhere_goes_on_to_the_same_front(finished: Run, host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "done"
    shutil.copytree(finished.folder, folder)
    for name in ("stitches", "tickets", "finalists"):
        shutil.rmtree(folder / name)
    (folder / "front.json").unlink()
    stops = 0
    for patience in (2, 13, 9, 11, 10**6):
        try:
            run_job(finished.job, folder, host=host, stop=after(patience))
        except InterruptedJobError:
            stops += 1
            assert not (folder / "front.json").exists()
    assert stops >= 2
    assert comparable(Run.open(folder).read_json("front.json")) == comparable(finished.read_json("front.json"))


def after(times: int) -> Callable[[], bool]:
    asked = iter([*[False] * times, True])
    return lambda: next(asked, True)


@pytest.mark.slow
def test_killed_job_goes_on_to_the_same_front(finished: Run, host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "done"
    shutil.copytree(finished.folder, folder)
    for name in ("stitches", "tickets", "finalists"):
        shutil.rmtree(folder / name)
    (folder / "front.json").unlink()
    code = (
        "from pathlib import Path; from automl.host import Host; from automl.job import run_job; "
        "from automl.run_folder import Run; import sys; folder = Path(sys.argv[1]); "
        "run_job(Run.open(folder).job, folder, host=Host.load())"
    )
    for stage in ("stitches/*/training.ckpt", "tickets/*/training.ckpt"):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], env=dict(os.environ))
        while process.poll() is None and not list(folder.glob(stage)):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (folder / "front.json").exists()
    run_job(finished.job, folder, host=host)
    assert comparable(Run.open(folder).read_json("front.json")) == comparable(finished.read_json("front.json"))


@pytest.mark.slow
def test_every_kind_is_exported_to_every_format_and_proven(finished: Run, host: Host, tmp_path: Path) -> None:
    run = copied_with_all_kinds(finished, host, tmp_path)
    pytest.importorskip("onnx")
    for kind in ("subnet", "stitch", "ticket", "finalist"):
        member = next(m for m in run.read_json("front.json")["members"] if m["kind"] == kind)
        (exported,) = export_picked(run, member["id"], ["pt2", "onnx", "safetensors"], host=host)
        assert set(exported.paths) == {"pt2", "onnx", "safetensors"}
        assert exported.manifest["kind"] == kind


def test_export_refuses_a_network_that_is_not_the_one_measured(finished: Run, host: Host, tmp_path: Path) -> None:
    run = copied_with_all_kinds(finished, host, tmp_path)
    member = next(m for m in run.read_json("front.json")["members"] if m["kind"] == "ticket")
    other = next(p for p in run.path("tickets").iterdir() if p.name != member["id"])
    (other / "weights.safetensors").replace(run.path("tickets") / member["id"] / "weights.safetensors")
    with pytest.raises(UserError):
        export_picked(run, member["id"], ["safetensors"], host=host)
    assert not run.path("exports").exists() or not list(run.path("exports").iterdir())


def copied_with_all_kinds(finished: Run, host: Host, tmp_path: Path) -> Run:
    """A copy of the run whose front holds one member of each kind at least, whatever the training gave."""
    shutil.copytree(finished.folder, tmp_path / "done")
    run = Run.open(tmp_path / "done")
    opened = open_run(run, host)
    with open_ledger(run, opened.parts, opened.supernet, read_only=True) as ledger:
        history = ledger.read()
    front = run.read_json("front.json")
    for kind in KINDS.values():
        entrant = kind.enter(opened, history, SilentProgress(), never)[0][0]
        if not any(m["id"] == entrant.id for m in front["members"]):
            measured = entrant.measurement.details["measured"]
            front["members"].append(
                {
                    "id": entrant.id,
                    "kind": entrant.kind,
                    "architecture": dict(entrant.measurement.architecture),
                    "origin": dict(entrant.origin),
                    "searched": {name: value["value"] for name, value in measured.items()},
                    "measured": measured,
                    "test": {},
                }
            )
    run.write_json("front.json", front)
    return run


def test_every_kind_is_rebuilt_and_measured_in_a_runtime(finished: Run, host: Host, tmp_path: Path) -> None:
    run = copied_with_all_kinds(finished, host, tmp_path)
    opened, front = open_run(run, host), run.read_json("front.json")
    for member in front["members"]:
        model: nn.Module = rebuild_member(opened, member).candidate.model
        assert opened.task.evaluate(model, "validation", 16)["error"] == pytest.approx(member["searched"]["error"])
    measured = measure_picked(run, "all-front", "eager", host=host, options={"repeats": 3, "budget": 0.05})
    values = {entry["id"]: entry["value"] for entry in measured}
    for member in front["members"]:
        if member["kind"] == "ticket" and (base := values.get(member["origin"]["member"])) is not None:
            assert values[member["id"]] == base


def test_what_works_with_subnetworks_only_refuses_others_in_one_line(finished: Run, host: Host, tmp_path: Path) -> None:
    run = copied_with_all_kinds(finished, host, tmp_path)
    front = run.read_json("front.json")
    ticket = next(m for m in front["members"] if m["kind"] == "ticket")
    with pytest.raises(ConfigError, match=f"{ticket['id']} is a ticket"):
        prune_picked(run, ticket["id"], PruneRequest(), host=host)
    assert all(m["kind"] == "subnet" for m in pick_subnets(front, "all-front"))
    only = {"members": [ticket], "picks": {}}
    with pytest.raises(ConfigError, match="the front has none"):
        pick_subnets(only, "all-front")


def test_id_that_begins_like_another_picks_itself() -> None:
    front = {"members": [{"id": "ab-1", "kind": "ticket"}, {"id": "ab", "kind": "subnet"}], "picks": {}}
    assert [m["id"] for m in pick_members(front, "ab")] == ["ab"]
    assert [m["id"] for m in pick_members(front, "ab-")] == ["ab-1"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"candidates": ["tickets"]}, "name 'subnets', too"),
        ({"candidates": ["subnets", "ticket"]}, "tickets"),
        ({"tickets": {"schedule": "gradul"}}, "tickets.schedule.*gradual"),
        ({"tickets": {"options": {"criterium": "random"}}}, "tickets.options.*criterion"),
        ({"tickets": {"training": {"epoch": 3}}}, "tickets.training.*epochs"),
        ({"tickets": {"sparsities": [1.0]}}, "sparsities"),
        ({"stitches": {"options": {"kernal": 3}}}, "stitches.options.*kernel"),
        ({"stitches": {"options": {"anchors": []}}}, "follows from the job"),
        ({"stitches": {"anchors": 1}}, "anchors"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    settings: dict[str, Any], words: str, host: Host, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        run_job(job(tmp_path, **settings), tmp_path / "run", host=host)
    assert not (tmp_path / "run").exists()


def test_front_of_one_gives_a_note_instead_of_stitches(opened: OpenRun, history: list[Measurement]) -> None:
    entrants, problems = KINDS["stitches"].enter(opened, history[:1], SilentProgress(), never)
    assert not entrants
    assert problems == ["no stitches: they need two anchors, and the searched front has 1"]


def test_schedule_that_does_not_fit_costs_its_tickets_not_the_job(host: Host, tmp_path: Path) -> None:
    tickets = {"members": 1, "sparsities": [0.5], "options": {"end": 7}, "training": {"epochs": 1}}
    run = run_job(job(tmp_path, candidates=["subnets", "tickets"], tickets=tickets), tmp_path / "run", host=host)
    front = run.read_json("front.json")
    assert front["kinds"] == {"subnet": 6, "ticket": 0}
    assert any(note["kind"] == "candidates" and "train longer" in note["text"] for note in front["notes"])


def test_objective_that_sees_zeros_is_added_for_masked_tickets_only() -> None:
    def names(**settings: Any) -> list[str]:
        return resolve_job(settings=settings).objective_names

    both = ["subnets", "tickets"]
    assert names(objectives=["error", "params"]) == ["error", "params"]
    assert names(objectives=["error", "params"], candidates=both) == ["error", "params", "sparse-size"]
    assert names(candidates=both) == ["error", "latency", "sparse-size"]
    assert names(objectives=["error", "nonzero"], candidates=both) == ["error", "nonzero"]
    assert names(candidates=both, tickets={"options": {"granularity": "channel"}}) == ["error", "latency"]
    assert names(objectives=["error", "params"], candidates=["subnets", "stitches"]) == ["error", "params"]


def test_jobs_with_subnets_alone_keep_their_names_and_others_have_their_own() -> None:
    plain = resolve_job(settings={"objectives": ["error", "nonzero"]})
    same = resolve_job(settings={"objectives": ["error", "nonzero"], "tickets": {"members": 5}})
    other = resolve_job(settings={"objectives": ["error", "nonzero"], "candidates": ["subnets", "tickets"]})
    assert plain.default_name() == same.default_name() != other.default_name()
    assert json.loads(json.dumps(other.to_dict())) == other.to_dict()


@given(length=st.integers(0, 40), count=st.integers(1, 50))
def test_spread_positions_are_distinct_in_order_and_hold_both_ends(length: int, count: int) -> None:
    places = spread(length, count)
    assert places == sorted(set(places))
    assert len(places) == min(length, count)
    assert all(0 <= place < length for place in places)
    if length and count > 1:
        assert (places[0], places[-1]) == (0, length - 1)


def test_members_to_prune_lie_on_the_searched_front_and_depend_on_nothing_else(history: list[Measurement]) -> None:
    chosen = spread_over_front(history, 2)
    values = np.array([m.values for m in history])
    front = {history[i].architecture for i in pareto_front(values)}
    assert {m.architecture for m in chosen} <= front
    assert spread_over_front(list(reversed(history)), 2) == chosen
