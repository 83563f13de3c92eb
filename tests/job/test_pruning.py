"""Members of a finished run, pruned: tickets, weights, exports, kills; and supernets that are pruned in their training."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from automl.errors import ConfigError, InterruptedJobError, RunError, UserError
from automl.host import Host
from automl.job import PruneRequest, export_pruned, export_ticket, load_supernet, prune_picked, run_job
from automl.job.tickets import apply_to_run, apply_to_weights, draw_tickets
from automl.job.transfer import transfer_ticket
from automl.job_config import JobConfig, resolve_job
from automl.run_folder import Run
from automl.tickets import Ticket, masks_of_zeros, sparsity_of
from automl.tickets.masks import apply_masks

pytest.importorskip("automl_vision", reason="the spaces of these jobs use blocks of automl-vision")

SPACE = """\
space: image/small
input: image
slots:
  stem:   {from: input, blocks: [vision.conv_stem], width: [4, 6], stride: 2}
  stage1: {from: stem, blocks: [vision.mbconv, vision.residual], width: [6, 8], depth: [1, 2]}
output: stage1
"""
QUICK = PruneRequest("gradual", {"sparsity": 0.8, "frequency": 2}, {"epochs": 3, "batch_size": 16})


@pytest.fixture(scope="module")
def host() -> Host:
    return Host.load()


def write_data(path: Path, *, classes: int = 3, channels: int = 1, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    y = np.arange(120) % classes
    x = rng.normal(size=(120, channels, 7, 5)) + y[:, None, None, None]
    np.savez(path, x=x.astype(np.float32), y=y)
    return path


def job(folder: Path, **settings: Any) -> JobConfig:
    (folder / "small.yaml").write_text(SPACE)
    assignments = [
        "training.epochs=3",
        "training.validation_subnets=1",
        "evaluation.anchors=1",
        "training.batch_size=16",
    ]
    given: dict[str, Any] = {
        "space": str(folder / "small.yaml"),
        "data": str(write_data(folder / "data.npz")),
        "objectives": ["error", "nonzero"],
        "trials": 4,
        "searcher": "random",
        "seed": 5,
    }
    return resolve_job(settings={**given, **settings}, assignments=assignments)


@pytest.fixture(scope="module")
def finished(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("jobs")
    return run_job(job(folder), folder / "runs" / "done", host=host)


@pytest.fixture(scope="module")
def sparse(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose supernet was pruned in its training."""
    folder = tmp_path_factory.mktemp("jobs")
    options = {"compressor": "supertickets", "compressor_options": {"sparsity": 0.5, "interval": 0.3}}
    return run_job(job(folder, **options), folder / "runs" / "sparse", host=host)


@pytest.fixture
def run(finished: Run, tmp_path: Path) -> Run:
    """A copy of the finished run."""
    shutil.copytree(finished.folder, tmp_path / "done")
    return Run.open(tmp_path / "done")


def test_pruning_leaves_a_ticket_weights_and_measured_errors(run: Run, host: Host) -> None:
    (result,) = prune_picked(run, "best:error", QUICK, host=host)
    folder = run.path("tickets") / result["id"]
    ticket = Ticket.load(folder / "ticket.safetensors")
    weights = safetensors.torch.load_file(folder / "weights.safetensors")
    assert sparsity_of(ticket.masks) == result["sparsity"] == pytest.approx(0.8, abs=0.002)
    assert all(not weights[name][~mask].any() for name, mask in ticket.masks.items())
    assert ticket.about["id"] == result["member"]
    member = next(m for m in run.read_json("front.json")["members"] if m["id"] == result["member"])
    assert result["before"]["validation"]["error"] == pytest.approx(member["searched"]["error"])
    assert result["before"]["test"]["error"] == pytest.approx(member["test"]["error"])
    assert set(result["after"]) == {"validation", "test"}
    storage = result["storage"]
    assert storage["nonzero"] < storage["parameters"]
    assert storage["sparse_bytes"] < storage["dense_bytes"]
    assert not any("latency" in key or "speed" in key or "macs" in key for key in json.dumps(result).split('"'))


def test_finished_pruning_is_not_repeated_and_another_method_gets_its_own_folder(run: Run, host: Host) -> None:
    (first,) = prune_picked(run, "best:error", QUICK, host=host)
    stamp = (run.path("tickets") / first["id"] / "weights.safetensors").stat().st_mtime_ns
    assert prune_picked(run, "best:error", QUICK, host=host) == [first]
    assert (run.path("tickets") / first["id"] / "weights.safetensors").stat().st_mtime_ns == stamp
    (other,) = prune_picked(run, "best:error", PruneRequest("one-shot", {"sparsity": 0.8}, QUICK.training), host=host)
    assert other["id"] != first["id"]
    assert other["base"] == first["base"]


def test_stopped_pruning_goes_on_to_the_same_masks_and_weights(
    finished: Run, run: Run, host: Host, tmp_path: Path
) -> None:
    asked = iter([*[False] * 7, True])
    with pytest.raises(InterruptedJobError):
        prune_picked(run, "best:error", QUICK, host=host, stop=lambda: next(asked))
    (resumed,) = prune_picked(run, "best:error", QUICK, host=host)
    # Of the same name: a ticket holds it, so a longer one may be a longer file.
    shutil.copytree(finished.folder, tmp_path / "again" / run.folder.name)
    whole = Run.open(tmp_path / "again" / run.folder.name)
    (undisturbed,) = prune_picked(whole, "best:error", QUICK, host=host)
    assert resumed == undisturbed
    weights = [(r.path("tickets") / resumed["id"] / "weights.safetensors").read_bytes() for r in (run, whole)]
    assert weights[0] == weights[1]
    tickets = [Ticket.load(r.path("tickets") / resumed["id"] / "ticket.safetensors") for r in (run, whole)]
    assert tickets[0].weights == tickets[1].weights
    assert all(torch.equal(mask, tickets[1].masks[name]) for name, mask in tickets[0].masks.items())


def test_schedule_that_does_not_fit_leaves_nothing_behind(run: Run, host: Host) -> None:
    request = PruneRequest("gradual", {"end": 4}, {"epochs": 3})
    with pytest.raises(ConfigError, match=r"the training has .* steps \(3 epochs\); train longer"):
        prune_picked(run, "best:error", request, host=host)
    assert not run.path("tickets").is_dir() or not any(run.path("tickets").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("granularity", ["unstructured", "channel"])
def test_pruned_networks_are_exported_and_proven_like_others(granularity: str, run: Run, host: Host) -> None:
    pytest.importorskip("onnxruntime")
    request = PruneRequest("gradual", {"sparsity": 0.5, "granularity": granularity}, QUICK.training)
    results = prune_picked(run, "best:error", request, host=host)
    (exported,) = export_pruned(run, results, ["pt2", "onnx", "safetensors"], host=host)
    state = safetensors.torch.load_file(exported.paths["safetensors"])
    ticket = Ticket.load(run.path("tickets") / results[0]["id"] / "ticket.safetensors")
    assert exported.manifest["metrics"] == results[0]["after"]
    assert exported.manifest["ticket"]["sparsity"] == results[0]["sparsity"]
    if granularity == "unstructured":
        assert all(not state[name][~mask].any() for name, mask in ticket.masks.items())
        assert exported.manifest["parameters"] == results[0]["storage"]["parameters"]
    else:
        assert results[0]["channels"]["difference"] < 1e-9
        assert (
            exported.manifest["parameters"]
            == results[0]["channels"]["parameters"]
            < results[0]["storage"]["parameters"]
        )
        assert all(torch.isfinite(tensor).all() for tensor in state.values())


def test_ticket_is_applied_to_its_base_and_to_its_own_weights_and_to_nothing_else(
    run: Run, host: Host, tmp_path: Path
) -> None:
    (result,) = prune_picked(run, "best:error", QUICK, host=host)
    folder = run.path("tickets") / result["id"]
    ticket = Ticket.load(folder / "ticket.safetensors")
    applied = apply_to_run(ticket, run, tmp_path / "base.safetensors", host=host)
    masked = safetensors.torch.load_file(tmp_path / "base.safetensors")
    assert all(not masked[name][~mask].any() and masked[name][mask].all() for name, mask in ticket.masks.items())
    assert applied.errors is not None
    assert applied.errors["before"]["error"] == result["before"]["validation"]["error"]

    own = folder / "weights.safetensors"
    apply_to_weights(ticket, own, tmp_path / "own.safetensors")
    again, before = (safetensors.torch.load_file(p) for p in (tmp_path / "own.safetensors", own))
    assert all(torch.equal(tensor, before[name]) for name, tensor in again.items())
    with pytest.raises(RunError, match=r"base\.safetensors: the ticket belongs to other weights"):
        apply_to_weights(ticket, tmp_path / "base.safetensors", tmp_path / "no.safetensors")
    assert not (tmp_path / "no.safetensors").exists()


def test_ticket_of_another_run_is_refused(run: Run, sparse: Run, host: Host, tmp_path: Path) -> None:
    (result,) = prune_picked(run, "best:error", QUICK, host=host)
    ticket = Ticket.load(run.path("tickets") / result["id"] / "ticket.safetensors")
    with pytest.raises(RunError, match=r"the ticket belongs to other weights .* it is of the run 'done'"):
        apply_to_run(ticket, sparse, tmp_path / "no.safetensors", host=host)


def test_subnetworks_of_a_pruned_supernet_carry_their_masks(sparse: Run, host: Host) -> None:
    supernet, _, _ = load_supernet(sparse, host)
    whole = Ticket.load(sparse.path("supernet-ticket.safetensors"))
    assert whole.sparsity == pytest.approx(0.5, abs=0.001)
    twin = {name: parameter.clone() for name, parameter in supernet.network.named_parameters()}
    apply_masks(supernet.network, whole.masks)
    assert all(torch.equal(p, twin[name]) for name, p in supernet.network.named_parameters())
    for path, ticket, report in draw_tickets(sparse, "all-front", host=host):
        model = supernet.extract(supernet.space.architecture(ticket.about["architecture"]))
        assert all(torch.equal(mask, ticket.masks[name]) for name, mask in masks_of_zeros(model).items())
        member = next(m for m in sparse.read_json("front.json")["members"] if m["id"] == ticket.about["id"])
        assert report.nonzero == member["searched"]["nonzero"]
        assert Ticket.load(path).weights == ticket.weights


def test_dense_run_has_no_ticket_to_draw(run: Run, host: Host) -> None:
    with pytest.raises(RunError, match="was not pruned in its training"):
        draw_tickets(run, "knee", host=host)


@pytest.mark.parametrize("kind", ["pruned", "drawn"])
def test_transfer_keeps_every_mask_entry_but_those_of_the_head(
    kind: str, run: Run, sparse: Run, host: Host, tmp_path: Path
) -> None:
    if kind == "pruned":
        (result,) = prune_picked(run, "best:error", QUICK, host=host)
        file = run.path("tickets") / result["id"] / "ticket.safetensors"
    else:
        shutil.copytree(sparse.folder, tmp_path / "sparse")
        run = Run.open(tmp_path / "sparse")
        ((file, _, _),) = draw_tickets(run, "best:error", host=host)
    data = write_data(tmp_path / "other.npz", classes=4, seed=3)
    settings = {"epochs": 2, "batch_size": 16}
    moved = transfer_ticket(run, file, str(data), host=host, training=settings)
    before, after = Ticket.load(file), Ticket.load(run.path("tickets") / moved["id"] / "ticket.safetensors")
    kept = {name: mask for name, mask in before.masks.items() if not name.startswith("head.")}
    assert len(kept) == len(before.masks) - 1
    assert after.masks.keys() == kept.keys()
    assert all(torch.equal(mask, after.masks[name]) for name, mask in kept.items())
    weights = safetensors.torch.load_file(run.path("tickets") / moved["id"] / "weights.safetensors")
    assert all(not weights[name][~mask].any() for name, mask in kept.items())
    assert weights["head.linear.weight"].shape[0] == 4
    assert transfer_ticket(run, file, str(data), host=host, training=settings) == moved
    there = run.path("tickets") / moved["id"] / "ticket.safetensors"
    applied = apply_to_run(after, run, tmp_path / "applied.safetensors", host=host)
    masked = safetensors.torch.load_file(applied.path)
    assert all(not masked[name][~mask].any() for name, mask in kept.items())
    assert masked["head.linear.weight"].shape[0] == 4
    assert set(applied.errors or ()) == {"before", "after"}
    exported = export_ticket(run, there, ["safetensors"], host=host)
    files = safetensors.torch.load_file(exported.paths["safetensors"])
    assert all(torch.equal(files[name], weights[name]) for name in kept)
    assert exported.manifest["ticket"]["from"] == (file.parent.name if file.name == "ticket.safetensors" else file.stem)
    assert export_ticket(run, file, ["safetensors"], host=host).manifest["ticket"]["sparsity"] == before.sparsity
    with pytest.raises(RunError, match=r"was moved to .* already"):
        transfer_ticket(run, there, str(data), host=host, training=settings)
    data.unlink()
    with pytest.raises(UserError, match=r"other\.npz"):
        apply_to_run(after, run, tmp_path / "again.safetensors", host=host)


def test_data_of_other_channels_are_refused(run: Run, host: Host, tmp_path: Path) -> None:
    (result,) = prune_picked(run, "best:error", QUICK, host=host)
    data = write_data(tmp_path / "colour.npz", channels=3)
    with pytest.raises(ConfigError, match="the inputs must have as many channels"):
        transfer_ticket(run, run.path("tickets") / result["id"] / "ticket.safetensors", str(data), host=host)


@pytest.mark.slow
def test_pruning_killed_by_the_system_ends_with_the_same_masks_and_weights(
    commands: Any, run: Run, host: Host, tmp_path: Path
) -> None:
    command = ["prune", "done", "--runs", str(tmp_path), "--pick", "best:error"]
    command += ["--sparsity", "0.8", "--epochs", "15", "--set", "training.batch_size=16"]
    kills = 0
    for moment in (0.0, 0.07):
        before = sum(p.stat().st_mtime_ns for p in tmp_path.glob("done/tickets/*/training.ckpt"))
        commands.start(tmp_path, command)
        while commands.running() and before == sum(
            p.stat().st_mtime_ns for p in tmp_path.glob("done/tickets/*/training.ckpt")
        ):
            time.sleep(0.005)
        time.sleep(moment)
        code = commands.kill()
        assert code in (0, -signal.SIGKILL), (tmp_path / "log").read_text()
        kills += code != 0
    assert kills
    request = PruneRequest("gradual", {"sparsity": 0.8}, {"epochs": 15, "batch_size": 16})
    (killed,) = prune_picked(run, "best:error", request, host=host)
    tickets = [Ticket.load(run.path("tickets") / killed["id"] / "ticket.safetensors")]
    shutil.rmtree(run.path("tickets"))
    (whole,) = prune_picked(run, "best:error", request, host=host)
    tickets.append(Ticket.load(run.path("tickets") / whole["id"] / "ticket.safetensors"))
    assert killed == whole
    assert tickets[0].weights == tickets[1].weights
    assert all(torch.equal(mask, tickets[1].masks[name]) for name, mask in tickets[0].masks.items())
