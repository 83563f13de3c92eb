"""Training alone: the best epoch is kept, and the early stopping of DAGNN waits for half of the epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from automl_graph.blocks import DAGNNHead
from automl_graph.signal import Graph
from automl_graph.standalone import Recipe, train_alone
from automl_graph.tasks import NodeClassification
from torch import Tensor, nn

from automl.elastic import specialise
from automl.errors import TrainingError


class Network(nn.Module):
    """The network of the paper between tensors."""

    def __init__(self, inp: int, out: int, **options: Any) -> None:
        super().__init__()
        self.head = specialise(DAGNNHead(inp, out, hops=10, hidden=16, mlp_layers=2, **options))

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        logits: Tensor = self.head(Graph(x, edge_index))
        return logits


def karate() -> NodeClassification:
    return NodeClassification.load("karate", seed=0, options={"labels_per_class": 2})


class Scripted(NodeClassification):  # type: ignore[misc]  # a final class, with its validation written down for a test
    """A task whose validation follows a script."""

    script: list[tuple[float, float]]

    def evaluate(self, model: nn.Module, part: Any, batch_size: int, limit: int | None = None) -> dict[str, float]:
        self.asked = getattr(self, "asked", 0) + 1
        error, loss = self.script[self.asked - 1]
        return {"error": error, "loss": loss}


def scripted(script: list[tuple[float, float]]) -> Scripted:
    task = karate()
    task.__class__ = Scripted
    assert isinstance(task, Scripted)
    task.script = script
    return task


def test_learns_the_clubs_and_keeps_the_weights_of_the_best_epoch() -> None:
    task = karate()
    torch.manual_seed(0)
    model = Network(34, 2)
    trained = train_alone(model, task, Recipe(epochs=60, weight_decay=0.005), seed=1)
    assert task.evaluate(model, "validation", 1) == trained.validation
    assert trained.validation["error"] < 0.2
    assert not model.training


def test_same_seed_gives_the_same_network_and_leaves_the_global_generator_alone() -> None:
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        model = Network(34, 2)
        before = torch.get_rng_state()
        train_alone(model, karate(), Recipe(epochs=5), seed=3)
        assert torch.equal(torch.get_rng_state(), before)
        found.append(torch.cat([p.flatten() for p in model.parameters()]))
    assert torch.equal(*found)


@pytest.mark.parametrize(("select", "best"), [("loss", 3), ("error", 4)])
def test_best_epoch_is_chosen_by_the_metric_then_by_the_loss(select: str, best: int) -> None:
    script = [(0.5, 1.0), (0.2, 0.9), (0.4, 0.3), (0.2, 0.5), (0.2, 0.5), (0.3, 0.8)]
    trained = train_alone(Network(34, 2), scripted(script), Recipe(epochs=6, select=select, window=0), seed=0)
    assert (trained.epoch, trained.epochs) == (best, 6)


def test_early_stopping_is_armed_after_half_of_the_epochs() -> None:
    losses = [0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.45, 0.1, 0.2, 0.2]
    # Before epoch 6 losses rise and nothing happens. Epoch 6: 0.5 > mean of epochs 3 to 5, 0.4: it ends.
    assert _epochs(losses, window=3) == 6
    # Epoch 6: 0.39 is below that mean. Epoch 7: 0.45 > mean(0.4, 0.5, 0.39).
    assert _epochs([*losses[:5], 0.39, *losses[6:]], window=3) == 7
    assert _epochs(losses, window=0) == 10
    assert _epochs(losses, window=8) == 10  # never as many epochs before that the loss exceeds their mean


def _epochs(losses: list[float], window: int) -> int:
    task = scripted([(0.5, loss) for loss in losses])
    return train_alone(Network(34, 2), task, Recipe(epochs=len(losses), window=window), seed=0).epochs


def test_outputs_that_are_never_finite_and_unknown_metrics_are_refused() -> None:
    with pytest.raises(TrainingError, match="no epoch gave finite outputs"):
        train_alone(Network(34, 2), scripted([(float("nan"), float("nan"))] * 2), Recipe(epochs=2), seed=0)
    with pytest.raises(TrainingError, match=r"select: the task measures auc-error, .*error, loss, not 'accuracy'"):
        train_alone(Network(34, 2), karate(), Recipe(epochs=2, select="accuracy"), seed=0)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"learning_rate": 0.0}, {"weight_decay": -1.0}, {"window": -1}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Recipe(**wrong)


@pytest.mark.slow
def test_published_recipe_on_cora(shared_data: Path) -> None:
    """A fifth of the published 1,000 epochs comes near 84.4 % already; the benchmark runs all."""
    options = {"normalise": "row", "steps_per_epoch": 1}
    task = NodeClassification.load(str(shared_data / "planetoid" / "cora"), seed=0, options=options)
    torch.manual_seed(0)
    model = specialise(DAGNNHead(1433, 7, hops=10, hidden=64, mlp_layers=2, dropout=0.8))
    assert sum(p.numel() for p in model.parameters()) == 92239
    network = Network(1433, 7)
    network.head = model
    train_alone(network, task, Recipe(epochs=200, weight_decay=0.005), seed=0)
    assert task.evaluate(network, "test", 1)["error"] < 0.18
