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
from automl_graph.signal import Graph
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


EQUAL = """
space: equal
input: graph
task: node-classification
slots:
  first: {from: input, blocks: [graph.gcn: {residual: false, dropout: 0.0}], width: [4, 7]}
  second: {from: first, blocks: [graph.gcn: {residual: false, dropout: 0.0}, graph.mlp: {dropout: 0.0, residual: false}]}
  third: {from: second, blocks: [graph.sage: {residual: false, dropout: 0.0, aggregation: mean}]%s}
output: third
"""


@pytest.fixture
def three(tmp_path: Path) -> Callable[..., tuple[Supernet, NodeClassification]]:
    """Makes a supernet of three slots without randomness; its text may end with another width of the last."""

    def make(width: str = "", data: str = "karate") -> tuple[Supernet, NodeClassification]:
        (tmp_path / "equal.yaml").write_text(EQUAL % width)
        task = NodeClassification.load(data, seed=0, options={"labels_per_class": 5})
        torch.manual_seed(0)
        return load_skeleton(str(tmp_path / "equal.yaml"), HOST).build(task, HOST), task

    return make


def states_of(
    supernet: Supernet,
    x: torch.Tensor,
    edges: torch.Tensor,
    linked: torch.Tensor,
    labels: torch.Tensor,
    classes: int = 2,
) -> list[torch.Tensor]:
    """Outputs of the three slots on the graph with virtual nodes, their gradients apart, written out by hand."""
    nodes = len(x)
    virtual = torch.randn(classes, x.shape[1], generator=torch.Generator().manual_seed(0))
    links = torch.stack([linked, nodes + labels])
    graph = Graph(torch.cat([x, virtual]), torch.cat([edges, links, links.flip(0)], dim=1))
    states = []
    for slot in ("first", "second", "third"):
        graph = supernet.network.get_submodule(slot)([graph._replace(x=graph.x.detach())])
        states.append(graph.x)
    return states


def gradients(supernet: Supernet) -> dict[str, torch.Tensor]:
    found = {n: p.grad.clone() for n, p in supernet.named_parameters() if p.grad is not None and bool(p.grad.any())}
    supernet.zero_grad()
    return found


def same_gradients(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.allclose(one[name], two[name], atol=1e-6) for name in one)


@pytest.mark.parametrize(("progress", "slot"), [(0.0, 0), (0.3, 1), (0.6, 2)])
@pytest.mark.parametrize(("data", "classes", "negatives", "wrong"), [("karate", 2, None, 1), ("digits-knn", 10, 3, 3)])
def test_forward_forward_tells_true_from_wrong_labels_by_lengths(
    three: Callable[..., tuple[Supernet, NodeClassification]],
    progress: float,
    slot: int,
    data: str,
    classes: int,
    negatives: int | None,
    wrong: int,
) -> None:
    supernet, task = three(data=data)
    batch = next(iter(task.train_batches(np.random.default_rng(0), 4)))
    (x, edges), labels, nodes = batch.inputs, batch.target, batch.index
    assert nodes is not None
    loss = step(supernet, task, Forward(variant="forward-forward", theta=1.5, negatives=negatives), progress)["loss"]
    found = gradients(supernet)
    right, *others = (
        states_of(supernet, x, edges, nodes, (labels + shift) % classes, classes)[slot][nodes].square().sum(1)
        for shift in range(wrong + 1)
    )
    negative = sum(torch.log1p((goodness - 1.5).exp()).mean() for goodness in others) / wrong
    expected = torch.log1p((1.5 - right).exp()).mean() + negative
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    expected.backward()  # type: ignore[no-untyped-call]
    assert found
    assert {name.split(".")[1] for name in found} == {("first", "second", "third")[slot]}
    assert same_gradients(found, gradients(supernet))


def test_with_signals_from_above_all_slots_learn_by_losses_of_their_own(
    three: Callable[..., tuple[Supernet, NodeClassification]],
) -> None:
    supernet, task = three()
    batch = next(iter(task.train_batches(np.random.default_rng(0), 4)))
    (x, edges), labels, nodes = batch.inputs, batch.target, batch.index
    assert nodes is not None
    for progress in (0.0, 0.6):  # before the head there is one phase
        loss = step(supernet, task, Forward(top_down=True, temperature=0.5), progress)["loss"]
        found = gradients(supernet)
        states = states_of(supernet, x, edges, nodes, labels)
        total = torch.zeros(())
        for level, state in enumerate(states):
            above = [s.detach() / s.detach().norm(dim=1, keepdim=True).clamp(min=1e-8) for s in states[level + 1 :]]
            mean = sum(above, start=state) / (1 + len(above))
            logits = mean[nodes] @ mean[len(x) :].T / 0.5
            total = total + torch.nn.functional.cross_entropy(logits, labels)
        assert loss == pytest.approx(float(total.detach()), rel=1e-5)
        total.backward()  # type: ignore[no-untyped-call]
        assert {name.split(".")[1] for name in found} == {"first", "second", "third"}
        assert same_gradients(found, gradients(supernet))
    strategy = Forward(top_down=True, head=0.4)
    assert [strategy.phase(supernet, p) for p in (0.1, 0.5, 0.7)] == [(0.0, 0.6), (0.0, 0.6), (0.6, 1.0)]
    step(supernet, task, Forward(top_down=True), 0.9)
    assert {name.split(".")[1] for name in gradients(supernet)} == {"head"}


@pytest.mark.parametrize("width", [", width: 7", ", width: [4, 7]"])
def test_signals_from_above_need_slots_of_one_width(
    three: Callable[..., tuple[Supernet, NodeClassification]], width: str
) -> None:
    supernet, task = three(width)
    with pytest.raises(ConfigError, match="top_down needs slots of one width"):
        Forward(top_down=True).check(supernet, task)
    Forward(top_down=True).check(*three(", width: second"))
    Forward().check(supernet, task)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"variant": "forward-forwards"}, r"unknown variant 'forward-forwards'.*'forward-forward'"),
        ({"variant": "forward-forward", "top_down": True}, "top_down is for the variant 'single-forward' only"),
        ({"variant": "forward-forward", "both_directions": False}, "hear of labels from virtual nodes only"),
        ({"variant": "forward-forward", "negatives": 0}, "negatives is 0"),
        ({"negatives": 2}, "negatives is for the variant 'forward-forward' only"),
    ],
)
def test_variants_that_do_not_exist_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Forward(**wrong)


@pytest.mark.parametrize("options", [{"variant": "forward-forward"}, {"top_down": True}])
def test_variants_train_in_a_job_on_nodes_and_are_refused_on_links(tmp_path: Path, options: dict[str, Any]) -> None:
    job: dict[str, Any] = {
        "strategy": "forward",
        "strategy_options": options,
        "objectives": ["error", "macs"],
        "trials": 3,
    }
    front = run_job(
        JobConfig(space="graph/node", data="karate", training={"epochs": 2}, **job), tmp_path / "nodes", host=HOST
    ).read_json("front.json")
    assert front["members"]
    assert front["trials"]["failed"] == 0
    with pytest.raises(ConfigError, match="are for classes of nodes"):
        run_job(JobConfig(space="graph/link-prediction", data="karate", **job), tmp_path / "links", host=HOST)
