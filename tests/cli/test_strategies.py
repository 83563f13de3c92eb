"""Commands around training strategies, from the command line to their output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from automl.host import Host
from automl.job.opened import task_and_supernet
from automl.job.parts import resolve_parts
from automl.job_config import resolve_job
from automl.run_folder import Run

pytest.importorskip("automl_vision", reason="the space of these runs uses blocks of automl-vision")

Automl = Callable[..., Any]


@pytest.fixture
def trained(tmp_path: Path) -> Run:
    """``runs/nested`` as it is after the training, with the initial weights."""
    job = resolve_job(
        settings={"space": "image/tiny", "strategy": "sorted"},
        assignments=[
            "strategy_options.sub_models=6",
            "evaluation.validation_samples=50",
            "training.batch_size=256",
        ],
    )
    run, host = Run.start(tmp_path / "runs" / "nested", job), Host.load()
    task, supernet = task_and_supernet(job, resolve_parts(job, host), host)
    run.write_json("split.json", task.split)
    supernet.save(run.path("supernet.safetensors"))
    return run


def test_sorted_lists_nested_subnetworks_as_text_and_as_json(automl: Automl, trained: Run) -> None:
    ended = automl("front", "nested", "--sorted", "--budget", "macs<=100k")
    assert ended.code == 0, ended.err
    assert "6 nested subnetworks" in ended.out
    assert "of the full model's quality on average" in ended.out
    assert "Picked:" in ended.out
    document = automl("front", "nested", "--sorted", "--budget", "macs<=100k", "--json").json
    assert document["sub_models"] == len(document["members"]) == 6
    assert {"id", "architecture", "error", "params", "macs", "kept"} == set(document["members"][0])
    fitting = [m["macs"] for m in document["members"] if m["macs"] <= 100_000]
    assert document["picked"]["macs"] == max(fitting)


def test_many_rows_are_shown_in_part_unless_all_are_asked_for(automl: Automl, trained: Run) -> None:
    part = automl("front", "nested", "--sorted", "--sub-models", "40")
    whole = automl("front", "nested", "--sorted", "--sub-models", "40", "--all")
    assert "25 of them shown" in part.out
    assert "shown" not in whole.out
    assert len(whole.out.splitlines()) > len(part.out.splitlines())


def test_rank_check_prints_both_correlations_and_keeps_results(automl: Automl, trained: Run) -> None:
    ended = automl("rank-check", "nested", "--subnets", "3", "--epochs", "1")
    assert ended.code == 0, ended.err
    assert "Kendall tau:" in ended.out
    assert "Spearman rho:" in ended.out
    files = list((trained.folder / "standalone" / "1-epochs").glob("*.json"))
    assert len(files) == 3
    document = automl("rank-check", "nested", "--subnets", "3", "--epochs", "1", "--json").json
    assert {s["id"]: s["standalone_error"] for s in document["subnets"]} == {
        file.stem: json.loads(file.read_text())["error"] for file in files
    }
    assert {"value", "low", "high"} == set(document["kendall_tau"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("front nested --sorted --budget macs<=1", "no nested subnetwork meets it; macs goes from"),
        ("front nested --sorted --budget error<=3%", "write an upper bound of params or macs"),
        ("front nested --sorted --budget macs", "there is no comparison in it"),
        ("front nested --sorted --sub-models 1", "'--sub-models'"),
        ("front nested --sorted --watch", "--watch and --sorted exclude each other"),
        ("front nested --budget macs<=1k", "--budget belongs to --sorted"),
        ("front nested --sub-models 3", "--sub-models belongs to --sorted"),
        ("rank-check nested --subnets 2", "'--subnets'"),
        ("rank-check nested --epochs 0", "'--epochs'"),
        ("rank-check nestde", "Did you mean 'nested'"),
        ("search --strategy sortde", "Did you mean 'sorted'"),
        ("search --strategy sorted --set strategy_options.sub_models=1", "sub_models: 1 is not valid"),
        ("search --strategy sorted --set strategy_options.submodels=9", "Did you mean 'sub_models'"),
        ("search --strategy sorted --set strategy_options.accumulation=40", "fewer than the 2 samples"),
        ("search --strategy sorted --set training.batch_size=1", "training.batch_size: 1 is not valid"),
        ("search --strategy sorted --set training.batch_size=3", "lower it to 1, or raise training.batch_size"),
        ("search --strategy sorted --space unordered.yaml", "no dimension with an order"),
        ("search --strategy progressive --set strategy_options.first=1", "first: 1 is not valid"),
        ("search --strategy progressive --set strategy_options.random=0", "random: 0 is not valid"),
        ("search --strategy mixture --set strategy_options.models=0", "models: 0 is not valid"),
        ("search --strategy mixture --set strategy_options.beta=1", "beta: 1 is not valid"),
        ("search --strategy mixtrue", "Did you mean 'mixture'"),
        ("search --strategy blockwise --set strategy_options.pths=3", "unknown option 'pths'. Did you mean 'paths'"),
        ("search --strategy blockwise --set strategy_options.paths=0", "paths: 0 is not valid"),
        ("search --strategy blockwise --set strategy_options.head=1", "head: 1 is not valid"),
        ("search --strategy blockwise --set training.batch_size=1", "training.batch_size: 1 is not valid"),
        ("search --strategy blockwise --space flat.yaml", "no stage of this space has more than one path"),
        (
            "search --strategy blockwise --epochs 1 --set training.batch_size=1400",
            "the training has 1 steps, but with 5 stages, one after the other, and a share of 0.25 for the head it needs 7",
        ),
        (
            "search --objective error --objective center-distance",
            "'center-distance' rates supernets that the strategy 'blockwise' trained",
        ),
        (
            "search --epochs 2 --set compressor=supertickets --set compressor_options.interval=3",
            "supertickets: the last pruning would be after step 408 (epoch 24), but the training has 34 steps (2 epochs)",
        ),
        (
            "search --set compressor=supertickets --set compressor_options.penalty=0.1",
            "penalty: needs one subnetwork, but here a whole supernet is pruned",
        ),
        ("search --set compressor=one-shot --set compressor_options.sparsity=1", "sparsity: 1 is not valid"),
        ("search --strategy sandwich --set strategy_options.random=x", "random: 'x' is not valid"),
    ],
)
def test_mistakes_are_told_in_one_line(automl: Automl, trained: Run, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "unordered.yaml").write_text(
        "space: image/unordered\ninput: image\nslots:\n  stem: {from: input, width: 8, stride: 2, blocks: "
        "[{vision.conv_stem: {kernel: 3}}, {vision.residual: {branch: basic}}]}\noutput: stem\n"
    )
    (tmp_path / "flat.yaml").write_text(
        "space: image/flat\ninput: image\nslots:\n  stem: {from: input, width: 8, stride: 2, blocks: "
        "[{vision.conv_stem: {kernel: 3}}]}\noutput: stem\n"
    )
    ended = automl(*line.split())
    assert ended.code == 2, ended
    assert message in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err
    assert ended.out == ""
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["nested"]


def test_sorted_on_a_space_without_order_is_told(automl: Automl, tmp_path: Path) -> None:
    space = tmp_path / "unordered.yaml"
    space.write_text(
        "space: image/unordered\ninput: image\nslots:\n  stem: {from: input, width: 8, stride: 2, blocks: "
        "[{vision.conv_stem: {kernel: 3}}, {vision.residual: {branch: basic}}]}\noutput: stem\n"
    )
    job = resolve_job(settings={"space": str(space), "strategy": "single-path"})
    run, host = Run.start(tmp_path / "runs" / "flat", job), Host.load()
    task, supernet = task_and_supernet(job, resolve_parts(job, host), host)
    run.write_json("split.json", task.split)
    supernet.save(run.path("supernet.safetensors"))
    ended = automl("front", "flat", "--sorted")
    assert ended.code == 2
    assert "this space has no dimension with an order" in ended.err
