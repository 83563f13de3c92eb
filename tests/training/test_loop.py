"""The loop: what it returns, what it tells, what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from automl import elastic
from automl.space import Ordinal
from automl.supernet import Supernet
from automl.training import Sandwich, SinglePath, train


class Listener:
    def __init__(self) -> None:
        self.calls = []

    def start(self, total, completed):
        self.calls.append(("start", total, completed))

    def advance(self, steps=1):
        self.calls.append(("advance", steps))

    def epoch_ended(self, record):
        self.calls.append(("epoch", record["epoch"]))


@pytest.fixture
def run(new_supernet, new_task, config, tmp_path):
    def run(strategy=None, supernet=None, task=None, **options):
        changes = {key: options.pop(key) for key in list(options) if key in type(config).model_fields}
        return train(
            supernet or new_supernet(),
            task or new_task(),
            config.model_copy(update=changes),
            strategy=strategy or SinglePath(),
            folder=tmp_path,
            seed=3,
            device="cpu",
            **options,
        )

    return run


@pytest.mark.parametrize("strategy", [SinglePath(), Sandwich(random=1)], ids=repr)
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_training_teaches_every_anchor(strategy, ema, run, new_task):
    history = run(strategy, task=new_task(augment="none"), epochs=25, learning_rate=0.03, ema=ema)
    assert history[-1]["loss"] < 0.75 * history[0]["loss"]
    for anchor in ("smallest", "random", "largest"):
        assert history[-1]["validation"][anchor]["error"] < 0.3


def test_record_holds_what_the_contract_says_and_is_json(run, tmp_path):
    history = run()
    assert json.loads((tmp_path / "training.json").read_text()) == history
    for number, record in enumerate(history, start=1):
        assert record["epoch"] == number
        assert record["seconds"] > 0
        assert record["loss"] == record["losses"]["loss"]
        assert set(record["validation"]) == {"smallest", "random", "largest"}
        assert {"error", "loss"} <= set(record["validation"]["largest"])
        assert record["warnings"] == []
    rates = [record["learning_rate"] for record in history]
    assert rates[1] > rates[2] > rates[3] > 0


def test_progress_and_observer_hear_every_step_and_epoch_in_order(run, tmp_path):
    listener, seen = Listener(), []

    def observer(epoch, record):
        stored = json.loads((tmp_path / "training.json").read_text())
        assert stored[-1]["epoch"] == epoch == record["epoch"]  # already on disk
        seen.append(epoch)

    run(progress=listener, observer=observer)
    epoch = [("advance", 1)] * 4
    assert listener.calls == [
        ("start", 16, 0),
        *epoch,
        ("epoch", 1),
        *epoch,
        ("epoch", 2),
        *epoch,
        ("epoch", 3),
        *epoch,
        ("epoch", 4),
    ]
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_measuring_sees_the_result_so_far_before_its_epoch_is_on_disk_and_changes_nothing(
    ema, run, new_supernet, tmp_path
):
    plain, measured, seen = new_supernet(), new_supernet(), []
    history = run(supernet=plain, ema=ema)
    (tmp_path / "training.ckpt").unlink()

    def measure(epoch):
        stored = torch.load(tmp_path / "training.ckpt", weights_only=True)["state"]
        assert stored["epoch"] == epoch - 1
        torch.rand(epoch)
        seen.append((epoch, {name: tensor.clone() for name, tensor in measured.state_dict().items()}))

    again = run(supernet=measured, ema=ema, measure=measure)
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4]
    for name, parameter in plain.named_parameters():
        assert torch.equal(parameter, measured.get_parameter(name)), name
        assert torch.equal(parameter, seen[-1][1][name]), name
    assert [r["loss"] for r in again] == [r["loss"] for r in history]
    assert [r["validation"] for r in again] == [r["validation"] for r in history]


def test_supernet_keeps_its_mode_and_ends_with_the_largest_active(run, new_supernet):
    supernet = new_supernet().train()
    supernet.network[4].eval()
    run(supernet=supernet)
    assert supernet.active == supernet.space.largest()
    assert supernet.network[1].training
    assert not supernet.network[4].training


def test_result_is_the_average_of_the_weights_where_it_is_on(run, new_supernet, tmp_path):
    supernet = new_supernet()
    run(supernet=supernet, ema=0.9)
    state = torch.load(tmp_path / "training.ckpt", weights_only=True)["state"]
    for name, parameter in supernet.named_parameters():
        assert torch.equal(parameter, state["average"][name])
        assert not torch.equal(parameter, state["model"][name])


def test_nothing_but_checkpoint_and_history_is_left_and_nothing_is_printed(run, tmp_path, capsys):
    run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training.ckpt", "training.json"]
    assert capsys.readouterr() == ("", "")


def test_last_batch_of_one_sample_does_not_break_batch_normalisation(run, new_task):
    task = new_task()
    assert len(task.split["train"]) % 53 == 1
    history = run(task=task, batch_size=53)
    assert len(history) == 4


def test_low_precision_forward_keeps_weights_and_losses_in_full_precision(run, new_supernet):
    supernet = new_supernet()
    history = run(supernet=supernet, precision="bf16-mixed", epochs=6)
    assert {parameter.dtype for parameter in supernet.parameters()} == {torch.float32}
    assert history[-1]["loss"] < history[0]["loss"]


def test_double_precision_network_gets_double_precision_data(run, new_supernet):
    history = run(supernet=new_supernet().double())
    assert history[-1]["loss"] < history[0]["loss"]


def test_clipping_bounds_the_first_update(run, new_supernet, tmp_path):
    options = {
        "optimiser": "sgd",
        "momentum": 0.0,
        "weight_decay": 0.0,
        "ema": 0.0,
        "epochs": 1,
        "batch_size": 54,
        "warmup_epochs": 0,
    }
    start, supernet = new_supernet(), new_supernet()
    (record,) = run(supernet=supernet, clip_norm=0.01, learning_rate=1.0, **options)
    pairs = zip(start.parameters(), supernet.parameters(), strict=True)
    moved = torch.sqrt(sum((a - b).detach().square().sum() for a, b in pairs))
    assert moved.item() == pytest.approx(0.01, rel=1e-3)
    assert record["learning_rate"] == 1.0


def test_biases_and_scales_are_not_decayed(new_supernet, config):
    from automl.training.optimisers import build_optimiser

    supernet = new_supernet()
    decayed, kept = build_optimiser(supernet, config).param_groups
    assert decayed["weight_decay"] == config.weight_decay
    assert kept["weight_decay"] == 0
    assert {parameter.ndim for parameter in decayed["params"]} == {2}
    assert {parameter.ndim for parameter in kept["params"]} == {1}
    assert len(decayed["params"]) + len(kept["params"]) == len(list(supernet.parameters()))


def test_history_of_the_same_seed_is_the_same(run, new_supernet, new_task, config, tmp_path):
    def history(name):
        folder = Path(tmp_path / name)
        folder.mkdir()
        records = train(new_supernet(), new_task(), config, strategy=Sandwich(), folder=folder, seed=3, device="cpu")
        return [{key: value for key, value in record.items() if key != "seconds"} for record in records]

    assert history("a") == history("b")


def test_order_of_weights_in_memory_changes_for_the_training_only(new_task, config, tmp_path):
    width = Ordinal(4, 6)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            elastic.Conv2d(1, width, 3),
            nn.ReLU(),
            elastic.Conv2d(width, 5, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            elastic.Linear(5, 3),
        )
    supernet, orders = Supernet(network), set()

    class Look(Listener):
        def advance(self, steps=1):
            orders.add(network[2].weight.is_contiguous(memory_format=torch.channels_last))

    config = config.model_copy(update={"channels_last": True})
    history = train(
        supernet, new_task(), config, strategy=Sandwich(), folder=tmp_path, seed=3, device="cpu", progress=Look()
    )
    assert orders == {True}
    assert all(parameter.is_contiguous() for parameter in supernet.parameters())
    assert history[-1]["loss"] < history[0]["loss"]
