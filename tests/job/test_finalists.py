"""Architectures of a search trained alone: which, how they are kept, stopped, resumed, measured and exported."""

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
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from automl.errors import ConfigError, InterruptedJobError, RunError, TrainingError, UserError
from automl.host import Host
from automl.job import export_picked, measure_picked, prune_picked, run_job
from automl.job.candidates.all_kinds import KINDS
from automl.job.candidates.finalist_choice import chosen_finalists, families_by_slot, largest_with_each_family
from automl.job.candidates.finalist_race import race_plan
from automl.job.finalist import Finalist, finalist_network
from automl.job.opened import OpenRun, open_run
from automl.job.pruning import PruneRequest
from automl.job.training_alone import BestEpoch, read_ranks
from automl.job_config import JobConfig, resolve_job
from automl.progress import SilentProgress
from automl.report import read_run
from automl.report.finalists import compare_finalists
from automl.run_folder import Run
from automl.search.measurement import Measurement
from automl.space import Categorical, Ordinal, SearchSpace
from automl.supernet import FamilySlot, build_supernet, family_slots, read_skeleton
from automl.tasks import ImageClassification

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")

SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [4, 6], stride: 2}
  stage1: {from: stem, blocks: [vision.mbconv, vision.residual], width: [6, 8], depth: [1, 2]}
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
        "candidates": ["subnets", "finalists"],
        "finalists": {
            "members": 3,
            "entrants": 6,
            "training": {"epochs": 2},
            "alternatives": [{"dropout": 0.3, "learning_rate": 0.03}],
        },
        "trials": 8,
        "searcher": "random",
        "seed": 5,
    }
    assignments = ["training.epochs=2", "evaluation.anchors=1", "training.batch_size=16"]
    return resolve_job(settings={**given, **settings}, assignments=assignments)


@pytest.fixture(scope="module")
def finished(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("jobs")
    return run_job(job(folder), folder / "runs" / "done", host=host)


def never() -> bool:
    return False


def results(run: Run) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(run.path("finalists").glob("*/result.json"))]


# --- which architectures

TABLE = SearchSpace.build(
    {"one": Categorical("a", "b", "c"), "two": Categorical("d", "e"), "width": Ordinal(2, 3, 5, 7, 11)}
)
SLOTS = {
    "first": FamilySlot(("one",), {"a": 1, "b": 1, "c": 1}),
    "second": FamilySlot(("two",), {"d": 1, "e": 1}),
}


def measured(rows: list[tuple[str, str, int, float, float]]) -> list[Measurement]:
    return [
        Measurement(architecture=TABLE.architecture({"one": one, "two": two, "width": w}), values=(error, cost))
        for one, two, w, error, cost in rows
    ]


def test_the_best_with_each_family_comes_first_then_the_front_spread_by_cost() -> None:
    history = measured(
        [
            ("a", "d", 2, 0.10, 50.0),
            ("a", "d", 3, 0.11, 40.0),  # no new family, but on the front
            ("b", "d", 5, 0.30, 60.0),  # best with b
            ("a", "e", 5, 0.20, 70.0),  # best with e
            ("a", "d", 7, 0.15, 30.0),
            ("a", "d", 11, 0.25, 20.0),
            ("b", "e", 2, 0.90, 90.0),
        ]
    )
    assert chosen_finalists(history, SLOTS, 9, 2) == [history[0], history[3]]
    assert chosen_finalists(history, SLOTS, 1) == [history[0], history[3], history[2]]
    assert chosen_finalists(history, SLOTS, 5) == [history[0], history[3], history[2], history[5], history[1]]
    assert len(chosen_finalists(history, SLOTS, 99)) == 6  # the last one is neither a best one nor on the front
    assert chosen_finalists(history, {}, 2) == [history[5], history[0]]
    assert chosen_finalists([], SLOTS, 3) == []


TWO_SLOTS = """\
space: two
input: image
slots:
  stem: {from: input, blocks: [vision.conv_stem], width: [4, 6]}
  one:  {from: stem, blocks: [vision.mbconv, vision.residual], width: [6, 8], depth: [2, 3]}
  two:  {from: one, blocks: [vision.residual, vision.mbconv], width: [5, 7]}
output: two
"""


def test_largest_of_each_family_are_alone_in_their_slot_shallow_and_deep(host: Host, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(TWO_SLOTS)
    skeleton = read_skeleton(tmp_path / "space.yaml")
    supernet = build_supernet(skeleton, ImageClassification.load("digits", seed=0), host)
    slots = family_slots(supernet.network, supernet.space)
    best = supernet.space.smallest()
    found = largest_with_each_family(supernet.space, slots, best)
    assert len(set(found)) == len(found) == 5  # one is the largest of a family in both slots
    for architecture in found:
        assert (architecture["stem.width"], architecture["one.width"], architecture["two.width"]) == (6, 8, 7)
        assert all(len(names) == 1 for names in families_by_slot(architecture, slots).values())
    families = [
        (by_slot["one"], a["one.depth"], by_slot["two"]) for a in found for by_slot in [families_by_slot(a, slots)]
    ]
    other = families_by_slot(best, slots)
    names = (["vision.mbconv"], ["vision.residual"])
    assert families[:4] == [(name, depth, other["two"]) for name in names for depth in (2, 3)]
    assert {str((one, two)) for one, depth, two in families[4:]} <= {str((other["one"], name)) for name in names}


def test_every_head_is_tried_with_every_family() -> None:
    space = SearchSpace.build({"op": Categorical("a", "b"), "head": Categorical("p", "q"), "width": Ordinal(3, 5)})
    slots, heads = {"op": FamilySlot(("op",), {"a": 1, "b": 1})}, FamilySlot(("head",), {"p": 1, "q": 1})
    found = largest_with_each_family(space, slots, space.smallest(), heads)
    assert [(a["op"], a["head"], a["width"]) for a in found] == [
        (op, head, 5) for op in ("a", "b") for head in ("p", "q")
    ]
    without = largest_with_each_family(space, slots, space.smallest())
    assert [(a["op"], a["width"]) for a in without] == [("a", 5), ("b", 5)]


def test_a_slot_that_can_be_left_out_is_tried_without_any_block_with_every_head() -> None:
    space = SearchSpace.build(
        {"s.depth": Ordinal(0, 1, 2), "s.op": Categorical("a", "b"), "head": Categorical("p", "q")},
        conditions={"s.op": {"s.depth": [1, 2]}},
    )
    slots, heads = {"s": FamilySlot(("s.op",), {"a": 1, "b": 1})}, FamilySlot(("head",), {"p": 1, "q": 1})
    found = largest_with_each_family(space, slots, space.largest(), heads)
    tried = {(a.get("s.op"), a["s.depth"], a["head"]) for a in found}
    assert tried == {(None, 0, head) for head in "pq"} | {(op, n, head) for op in "ab" for n in (1, 2) for head in "pq"}
    assert len(found) == len(tried)


ROWS = st.tuples(
    st.sampled_from("abc"), st.sampled_from("de"), st.sampled_from([2, 3, 5, 7, 11]), st.floats(0, 1), st.floats(1, 9)
)


@given(rows=st.lists(ROWS, unique_by=lambda row: row[:3], max_size=25), members=st.integers(1, 12), order=st.randoms())
def test_finalists_are_distinct_feasible_and_depend_on_no_order(rows: Any, members: int, order: Any) -> None:
    history = measured(rows)
    chosen = chosen_finalists(history, SLOTS, 1, members)
    assert len({m.architecture for m in chosen}) == len(chosen) <= members
    shuffled = list(history)
    order.shuffle(shuffled)
    assert chosen_finalists(shuffled, SLOTS, 1, members) == chosen
    wanted = {(name, m.architecture[d]) for m in history for name, d in (("first", "one"), ("second", "two"))}
    found = {(name, m.architecture[d]) for m in chosen for name, d in (("first", "one"), ("second", "two"))}
    assert found == wanted or len(chosen) == members


def test_what_misses_a_constraint_or_failed_is_no_finalist() -> None:
    good, bad, broken = measured([("a", "d", 2, 0.5, 5.0), ("b", "d", 2, 0.1, 1.0), ("c", "e", 2, 0.1, 1.0)])
    bad = Measurement(architecture=bad.architecture, values=bad.values, violations=(1.0,))
    broken = Measurement(architecture=broken.architecture, values=None, failure="no")
    assert chosen_finalists([bad, good, broken], SLOTS, 9) == [good]


# --- the best epoch


class Scripted:
    """Weights and ranks of epochs that are known beforehand."""

    def __init__(self, ranks: list[list[float]]) -> None:
        self.ranks, self.epoch = ranks, 0

    def calibrated(self) -> tuple[nn.Module, dict[str, Any]]:
        model = nn.Linear(2, 3, bias=False)
        nn.init.constant_(model.weight, float(self.epoch))
        return model, {"batches": self.epoch}

    def rank(self, model: nn.Module) -> list[float]:
        return self.ranks[self.epoch - 1]

    def run(self, path: Path, epochs: list[int]) -> BestEpoch:
        best = BestEpoch(path, self.calibrated, self.rank)
        for self.epoch in epochs:
            best(self.epoch)
        return best


def test_first_of_the_best_epochs_is_kept_also_if_epochs_come_again(tmp_path: Path) -> None:
    ranks = [[0.5, 9.0], [0.2, 7.0], [0.2, 5.0], [float("nan"), 0.0], [0.2, 5.0], [0.3, 1.0]]
    calm = Scripted(ranks).run(tmp_path / "calm.safetensors", [1, 2, 3, 4, 5, 6])
    assert calm.result() == {"epoch": 3, "rank": [0.2, 5.0], "facts": {"batches": 3}}
    Scripted(ranks).run(tmp_path / "rough.safetensors", [1, 2, 3])
    Scripted(ranks).run(tmp_path / "rough.safetensors", [3, 4, 5, 6])
    assert (tmp_path / "rough.safetensors").read_bytes() == (tmp_path / "calm.safetensors").read_bytes()


def test_training_without_a_finite_epoch_is_an_error_that_says_so(tmp_path: Path) -> None:
    best = Scripted([[float("inf"), 1.0]]).run(tmp_path / "none.safetensors", [1])
    with pytest.raises(TrainingError, match="no epoch gave finite numbers"):
        best.result()


def test_damaged_ranks_are_named(tmp_path: Path) -> None:
    (tmp_path / "ranks.json").write_text("[[0.5, 1.0], [")
    with pytest.raises(RunError, match=r"ranks\.json: damaged"):
        read_ranks(tmp_path)


# --- jobs


def test_finalists_enter_the_front_with_the_values_of_their_own_networks(
    finished: Run, opened: OpenRun, history: list[Measurement]
) -> None:
    front = finished.read_json("front.json")
    assert front["kinds"] == {"subnet": 8, "finalist": 5}
    entrants, problems = KINDS["finalists"].enter(opened, history, SilentProgress(), never)
    assert problems == ["4 finalists began; of these went on 3 after 1 epoch"]
    for entrant in entrants:
        network = entrant.build()
        model = network.candidate.model
        error = opened.task.evaluate(model, "validation", 16)["error"]
        assert entrant.measurement.values is not None
        assert entrant.measurement.values[0] == pytest.approx(error)
        base = next(m for m in history if m.architecture == entrant.measurement.architecture)
        assert base.values is not None
        assert entrant.measurement.values[1] == base.values[1]
        assert entrant.origin["shared"] == {"error": base.values[0], "macs": base.values[1]}
        dense = opened.supernet.extract(base.architecture)
        assert any(
            not torch.equal(p, q) for p, q in zip(model.parameters(), dense.parameters(), strict=True)
        )  # its own
    assert {m["id"] for m in front["members"] if m["kind"] == "finalist"} <= {e.id for e in entrants}
    families = {name for e in entrants for name in e.origin["families"].get("stage1", [])}
    assert families == {"vision.mbconv", "vision.residual"}


def test_a_finalist_keeps_its_best_epoch_and_learns(finished: Run) -> None:
    for result in results(finished):
        assert 1 <= result["best_epoch"] <= result["training"]["epochs"] == 2
        folder = finished.path("finalists") / result["id"]
        files = ["ranks.json", "result.json", "training.json", "weights.safetensors"]
        assert sorted(p.name for p in folder.iterdir()) == files
        ranks = json.loads((folder / "ranks.json").read_text())
        assert len(ranks) == 2
        assert ranks[result["best_epoch"] - 1] == min(ranks)


def test_the_better_half_goes_on_and_of_the_others_only_their_ranks_stay(finished: Run) -> None:
    folders = list(finished.path("finalists").iterdir())
    dropped = [f for f in folders if not (f / "result.json").exists()]
    assert len(dropped) == 1
    for folder in dropped:
        assert sorted(p.name for p in folder.iterdir()) == ["ranks.json", "training.json"]
        assert len(json.loads((folder / "ranks.json").read_text())) == 1
    first = {f.name: json.loads((f / "ranks.json").read_text())[0] for f in folders}
    in_race = [r["id"] for r in results(finished) if r["training"]["dropout"] is None]
    assert max(first[name] for name in in_race) <= min(first[f.name] for f in dropped)
    notes = [note["text"] for note in finished.read_json("front.json")["notes"] if note["kind"] == "candidates"]
    assert notes == ["4 finalists began; of these went on 3 after 1 epoch"]


@pytest.mark.parametrize(
    ("entrants", "members", "epochs", "expected"),
    [
        (3, 3, 8, []),
        (2, 5, 8, []),
        (0, 3, 8, []),
        (4, 3, 8, [(4, 3)]),
        (17, 5, 20, [(5, 10), (10, 5)]),
        (24, 3, 8, [(1, 12), (2, 6), (4, 3)]),
        (27, 1, 2, [(1, 1)]),
    ],
)
def test_the_field_is_cut_by_one_factor_after_twice_as_many_epochs_each_time(
    entrants: int, members: int, epochs: int, expected: list[tuple[int, int]]
) -> None:
    assert race_plan(entrants, members, epochs) == expected


def comparable(front: dict[str, Any]) -> dict[str, Any]:
    trials = {key: value for key, value in front["trials"].items() if key != "seconds"}
    return {**front, "trials": trials, "machine": None}


def unfinished(finished: Run, folder: Path) -> Path:
    shutil.copytree(finished.folder, folder)
    shutil.rmtree(folder / "finalists")
    (folder / "front.json").unlink()
    return folder


def kept(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in (folder / "finalists").rglob("*")
        if p.is_file() and p.name != "training.json"  # holds seconds
    }


def test_job_that_is_stopped_among_finalists_goes_on_to_the_same_ones(
    finished: Run, host: Host, tmp_path: Path
) -> None:
    folder, stops = unfinished(finished, tmp_path / "done"), 0
    for patience in (2, 9, 13, 7, 10**6):
        try:
            run_job(finished.job, folder, host=host, stop=after(patience))
        except InterruptedJobError:
            stops += 1
            assert not (folder / "front.json").exists()
    assert stops >= 2
    assert comparable(Run.open(folder).read_json("front.json")) == comparable(finished.read_json("front.json"))
    assert kept(folder) == kept(finished.folder)


def after(times: int) -> Callable[[], bool]:
    asked = iter([*[False] * times, True])
    return lambda: next(asked, True)


@pytest.mark.slow
def test_job_that_is_killed_among_finalists_goes_on_to_the_same_ones(finished: Run, host: Host, tmp_path: Path) -> None:
    folder = unfinished(finished, tmp_path / "done")
    code = (
        "from pathlib import Path; from automl.host import Host; from automl.job import run_job; "
        "from automl.run_folder import Run; import sys; folder = Path(sys.argv[1]); "
        "run_job(Run.open(folder).job, folder, host=Host.load())"
    )
    for stage in ("finalists/*/training.ckpt", "finalists/*/weights.safetensors", "finalists/*/result.json"):
        process = subprocess.Popen([sys.executable, "-c", code, str(folder)], env=dict(os.environ))
        while process.poll() is None and not list(folder.glob(stage)):
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (folder / "front.json").exists()
    run_job(finished.job, folder, host=host)
    assert comparable(Run.open(folder).read_json("front.json")) == comparable(finished.read_json("front.json"))
    assert kept(folder) == kept(finished.folder)


def test_the_better_half_is_trained_again_with_each_alternative(finished: Run) -> None:
    first = [r for r in results(finished) if r["training"]["dropout"] is None]
    again = [r for r in results(finished) if r["training"]["dropout"] == 0.3]
    best = sorted((r["measured"]["error"]["value"], r["measured"]["macs"]["value"], r["member"]) for r in first)[:2]
    assert {r["member"] for r in again} == {member for *_, member in best}
    assert len(first) == 3
    assert len(again) == 2
    assert {r["training"]["learning_rate"] for r in again} == {0.03}
    assert all(r["training"]["epochs"] == 2 for r in results(finished))  # what all trainings have


def test_a_task_has_alternatives_for_new_weights_only(host: Host, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(ImageClassification, "finalist_alternatives", ({"dropout": 0.4},))
    for weights, expected in (("new", {None, 0.4}), ("inherited", {None})):
        settings = {"members": 1, "weights": weights, "training": {"epochs": 1}}
        run = run_job(job(tmp_path, finalists=settings), tmp_path / weights, host=host)
        assert {r["training"]["dropout"] for r in results(run)} == expected
        assert len({r["start"] for r in results(run)}) == 1


def test_new_weights_are_drawn_from_seed_and_architecture(host: Host, tmp_path: Path) -> None:
    settings = {"members": 2, "entrants": 2, "weights": "new", "training": {"epochs": 1}}
    run = run_job(job(tmp_path, finalists=settings), tmp_path / "run", host=host)
    again = run_job(job(tmp_path, finalists=settings), tmp_path / "again", host=host)
    assert [r["digest"] for r in results(run)] == [r["digest"] for r in results(again)]
    inherited = {**settings, "weights": "inherited"}
    other = run_job(job(tmp_path, finalists=inherited), tmp_path / "other", host=host)
    assert {r["start"] for r in results(run)}.isdisjoint(r["start"] for r in results(other))
    assert {r["member"] for r in results(run)} == {r["member"] for r in results(other)}
    assert results(run)[0]["training"]["epochs"] == 1


def test_finalist_that_diverges_is_a_note_and_the_others_stay(host: Host, tmp_path: Path, monkeypatch: Any) -> None:
    original, calls = Finalist.train, []

    def failing(*arguments: Any) -> dict[str, Any]:
        calls.append(arguments)
        if len(calls) == 1:
            raise TrainingError("training diverged in epoch 1")
        if len(calls) == 2:
            raise RuntimeError("of a plugin\nwith more lines")
        return original(*arguments)

    monkeypatch.setattr(Finalist, "train", failing)
    settings = {"members": 3, "entrants": 3, "training": {"epochs": 2}, "alternatives": [{"dropout": 0.3}]}
    front = run_job(job(tmp_path, finalists=settings), tmp_path / "run", host=host).read_json("front.json")
    assert front["kinds"] == {"subnet": 8, "finalist": 2}
    texts = [note["text"] for note in front["notes"] if note["kind"] == "candidates"]
    assert [text.split(": ", 1)[1] for text in texts] == ["training diverged in epoch 1", "of a plugin"]


def test_real_divergence_ends_no_job(host: Host, tmp_path: Path) -> None:
    wild = {"members": 1, "training": {"epochs": 1, "learning_rate": 1e30, "clip_norm": 0, "max_retries": 0}}
    front = run_job(job(tmp_path, finalists=wild), tmp_path / "run", host=host).read_json("front.json")
    assert front["kinds"] == {"subnet": 8, "finalist": 0}
    assert any("no finalist of" in note["text"] and "diverged" in note["text"] for note in front["notes"])


def with_finalist_on_the_front(finished: Run, host: Host, folder: Path) -> tuple[Run, dict[str, Any]]:
    """A copy of the run whose front holds a finalist, whatever the training gave."""
    shutil.copytree(finished.folder, folder)
    run = Run.open(folder)
    front = run.read_json("front.json")
    (result, *_) = results(run)
    member = {
        "id": result["id"],
        "kind": "finalist",
        "architecture": result["architecture"],
        "origin": {"member": result["member"]},
        "searched": {name: value["value"] for name, value in result["measured"].items()},
        "measured": result["measured"],
        "test": {},
    }
    front["members"] = [*(m for m in front["members"] if m["id"] != member["id"]), member]
    run.write_json("front.json", front)
    return run, member


def test_export_of_a_finalist_is_proven_and_says_that_it_was_trained_alone(
    finished: Run, host: Host, tmp_path: Path
) -> None:
    run, member = with_finalist_on_the_front(finished, host, tmp_path / "done")
    (exported,) = export_picked(run, member["id"], ["safetensors"], host=host)
    assert exported.manifest["kind"] == "finalist"
    assert exported.manifest["trained_alone"]["weights"] == "inherited"
    assert exported.manifest["trained_alone"]["id"] == member["id"]
    (measured_again,) = measure_picked(run, member["id"], "eager", host=host, options={"repeats": 3, "budget": 0.05})
    assert measured_again["value"] > 0


def test_weights_that_were_changed_are_refused(finished: Run, host: Host, tmp_path: Path) -> None:
    run, member = with_finalist_on_the_front(finished, host, tmp_path / "done")
    opened = open_run(run, host)
    path = run.path("finalists") / member["id"] / "weights.safetensors"
    model = finalist_network(opened, member["id"]).candidate.model
    state = {name: tensor.clone() for name, tensor in model.state_dict().items() if "num_batches" not in name}
    state[next(iter(state))] += 1e-3
    from safetensors.torch import save_file

    save_file(state, path)
    with pytest.raises(RunError, match=r"not the weights that result\.json"):
        finalist_network(opened, member["id"])
    path.unlink()
    with pytest.raises(UserError, match="missing"):
        export_picked(run, member["id"], ["safetensors"], host=host)


def test_pruning_refuses_a_finalist_in_one_line(finished: Run, host: Host, tmp_path: Path) -> None:
    run, member = with_finalist_on_the_front(finished, host, tmp_path / "done")
    with pytest.raises(ConfigError, match=f"{member['id']} is a finalist"):
        prune_picked(run, member["id"], PruneRequest(), host=host)


def test_finalists_of_an_earlier_shorter_search_are_not_listed(finished: Run, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    ids = [r["id"] for r in results(finished)]
    shutil.copytree(folder / "finalists" / ids[0], folder / "finalists" / "earlier")
    assert [f["id"] for f in read_run(folder).finalists] == ids
    (folder / "front.json").unlink()
    assert len(read_run(folder).finalists) == len(ids) + 1  # while a job runs, what is finished


def test_report_shows_errors_with_shared_and_with_own_weights(finished: Run) -> None:
    comparison = compare_finalists(read_run(finished.folder))
    assert comparison is not None
    assert len(comparison.rows) == 5
    assert comparison.heads[:4] == ["model", "families", "settings", "on the front"]
    settings = {row[0]: row[2] for row in comparison.rows}
    for result in results(finished):
        rate = result["training"]["learning_rate"]
        expected = f"dropout 0.3, learning rate {rate}" if rate == 0.03 else f"learning rate {rate}"
        assert sorted(settings[result["id"]].split(", ")) == sorted(expected.split(", "))
    assert any("shared weights" in head for head in comparison.heads)
    page = (finished.folder / "report.html").read_text()
    assert '<section id="finalists">' in page
    for result in results(finished):
        assert result["id"] in page


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"candidates": ["finalists"]}, "name 'subnets', too"),
        ({"candidates": ["subnets", "finalist"]}, "finalists"),
        ({"finalists": {"member": 3}}, "finalists.*member.*members"),
        ({"finalists": {"members": 0}}, "finalists.members"),
        ({"finalists": {"entrants": 0}}, "finalists.entrants"),
        ({"finalists": {"weights": "inherit"}}, "finalists.weights.*inherited"),
        ({"finalists": {"training": {"epoch": 3}}}, "finalists.training.*epochs"),
        ({"finalists": {"alternatives": [{}, {"dropouts": 0.5}]}}, "finalists.alternatives.*dropout"),
        ({"finalists": {"alternatives": {"dropout": 0.5}}}, "finalists.alternatives"),
        ({"finalists": {"training": {"epochs": 0}}}, "finalists.training.*epochs"),
        ({"finalists": {"weights": "new", "training": {"learning_rate": -1}}}, "finalists.training.*learning_rate"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    settings: dict[str, Any], words: str, host: Host, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        run_job(job(tmp_path, **settings), tmp_path / "run", host=host)
    assert not (tmp_path / "run").exists()


def test_jobs_without_finalists_keep_their_names() -> None:
    plain = resolve_job(settings={"objectives": ["error", "macs"]})
    same = resolve_job(settings={"objectives": ["error", "macs"], "finalists": {"members": 7}})
    other = resolve_job(settings={"objectives": ["error", "macs"], "candidates": ["subnets", "finalists"]})
    assert plain.default_name() == same.default_name() != other.default_name()
