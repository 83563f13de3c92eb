"""Forward learning of a supernet: which slots a step reaches, and that the head learns at last."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.forward_learning import strategy
from automl_graph.forward_learning.strategy import Forward
from automl_graph.links import LinkPrediction
from automl_graph.tasks import GraphClassification, NodeClassification
from torch import nn

from automl.errors import ConfigError
from automl.host import Host
from automl.job import run_job
from automl.job_config import JobConfig
from automl.supernet import Supernet, load_skeleton
from automl.tasks import Task
from automl.training import FamilyTurns, StepContext, TrainingConfig

HOST = Host.load(entry_points=False, plugins=[plugin])


def prepared() -> tuple[Supernet, NodeClassification]:
    task = NodeClassification.load("karate", seed=0)
    torch.manual_seed(0)
    return load_skeleton("graph/node", HOST).build(task, HOST), task


def prepared_for_links() -> tuple[Supernet, LinkPrediction]:
    task = LinkPrediction.load("karate", seed=0)
    torch.manual_seed(0)
    return load_skeleton("graph/link-prediction", HOST).build(task, HOST), task


def step(supernet: Supernet, task: Task, trained_by: Forward, progress: float) -> dict[str, float]:
    context = StepContext(
        supernet=supernet, task=task, batch=next(iter(task.train_batches(np.random.default_rng(0), 4))),
        rng=np.random.default_rng(1), turn=FamilyTurns(supernet).draw(np.random.default_rng(1)),
        label_smoothing=0.0, progress=progress, validation=list, forward=supernet, backward=lambda loss: loss.backward(),
    )  # fmt: skip
    return dict(trained_by.step(context))


@pytest.mark.parametrize(
    ("prepare", "progress", "part"),
    [
        *(
            (prepared, progress, part)
            for progress, part in [(0.0, "pre"), (0.3, "message"), (0.6, "post"), (0.9, "head")]
        ),
        *((prepared_for_links, progress, part) for progress, part in [(0.0, "pre"), (0.5, "message"), (0.9, "head")]),
    ],
)
def test_a_step_reaches_one_part_only(prepare: Callable[[], tuple[Supernet, Task]], progress: float, part: str) -> None:
    supernet, task = prepare()
    if part == "post":
        supernet = Supernet(supernet.network, only={"post.depth": [1]})
    losses = step(supernet, task, Forward(), progress)
    assert np.isfinite(losses["loss"])
    reached = {n.split(".")[1] for n, p in supernet.named_parameters() if p.grad is not None and bool(p.grad.any())}
    assert reached == {part}


def test_a_step_for_a_slot_that_is_left_out_changes_nothing() -> None:
    supernet, task = prepared()
    assert np.isfinite(step(Supernet(supernet.network, only={"post.depth": [0]}), task, Forward(), 0.6)["loss"])
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_phases_follow_the_slots_and_then_the_head() -> None:
    supernet, _ = prepared()
    strategy = Forward(head=0.4)
    phases = np.array([strategy.phase(supernet, p) for p in (0.1, 0.45, 0.7)])
    np.testing.assert_allclose(phases, [(0.0, 0.2), (0.4, 0.6), (0.6, 1.0)])


def test_tasks_on_whole_graphs_are_refused() -> None:
    task = GraphClassification.load("cycles-or-trees", seed=0)
    supernet = load_skeleton("graph/level", HOST).build(task, HOST)
    with pytest.raises(ConfigError, match="trains on nodes or links of one graph"):
        step(supernet, task, Forward(), 0.0)


def test_a_job_on_whole_graphs_is_refused_before_its_training(tmp_path: Path) -> None:
    job = JobConfig(space="graph/level", data="cycles-or-trees", strategy="forward", trials=1, training={"epochs": 1})
    with pytest.raises(ConfigError, match="trains on nodes or links of one graph"):
        run_job(job, tmp_path / "run", host=HOST)
    assert not (tmp_path / "run").exists()


def test_networks_that_are_no_slots_on_graphs_are_refused() -> None:
    with pytest.raises(ConfigError, match="spaces of slots on graphs only"):
        Forward().prepare(Supernet(nn.Linear(2, 3)), TrainingConfig())


@pytest.mark.parametrize("wrong", [{"head": 0.0}, {"head": 1.0}, {"temperature": 0.0}, {"theta": -1.0}])
def test_unusable_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is"):
        Forward(**wrong)


def test_unknown_loss_of_links_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown links 'goodnes'.*goodness"):
        Forward(links="goodnes")


def test_goodness_of_links_is_the_squared_length_of_products(monkeypatch: pytest.MonkeyPatch) -> None:
    supernet, task = prepared_for_links()
    batch = next(iter(task.train_batches(np.random.default_rng(0), 4)))
    nodes = torch.randn(34, 5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    monkeypatch.setattr(strategy, "pooled_features", lambda *_: nodes)
    loss = step(supernet, task, Forward(links="goodness", theta=3.0), 0.0)["loss"]
    losses: dict[bool, list[float]] = {True: [], False: []}
    for a, b, linked in zip(*batch.inputs[2].tolist(), batch.target.tolist(), strict=True):
        goodness = float(((nodes[a] * nodes[b]).detach() ** 2).sum())
        away = 3.0 - goodness if linked else goodness - 3.0
        losses[bool(linked)].append(math.log1p(math.exp(away)) if away < 30 else away)
    expected = sum(sum(values) / len(values) for values in losses.values())
    assert loss == pytest.approx(expected, rel=1e-5)
    assert nodes.grad is not None
