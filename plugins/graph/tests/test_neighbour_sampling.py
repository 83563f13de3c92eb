"""Sampled neighbours and inductive training: what a step sees, what it must not see, and that it repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx
import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.blocks import GCN, SAGE, GATv2
from automl_graph.data import NodeData, karate_club
from automl_graph.signal import Graph
from automl_graph.tasks import NodeClassification
from automl_graph.tasks.neighbour_sampling import NeighbourSampler
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.errors import ConfigError, DataError
from automl.host import Host, hookimpl
from automl.job import run_job
from automl.job_config import JobConfig

SPACE = """
space: small
input: graph
slots: {message: {from: input, blocks: [graph.sage, graph.mlp], width: [4, 8], depth: [1, 2]}}
output: message
"""


@st.composite
def seeded_graphs(draw: st.DrawFn) -> tuple[Tensor, int, Tensor]:
    """Directed edges with repetitions and self loops, and some nodes that are asked for."""
    nodes = draw(st.integers(2, 14))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=40))
    seeds = draw(st.lists(node, min_size=1, max_size=4, unique=True))
    return torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T, nodes, torch.tensor(seeds)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the sampler -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(case=seeded_graphs(), hops=st.integers(1, 4))
def test_without_a_limit_these_are_exactly_the_nodes_within_k_hops(case: tuple[Tensor, int, Tensor], hops: int) -> None:
    edges, nodes, seeds = case
    found = NeighbourSampler(edges, nodes).sample(seeds, [-1] * hops, rng())
    against: networkx.MultiDiGraph[Any] = networkx.MultiDiGraph(edges.flip(0).T.tolist())
    against.add_nodes_from(range(nodes))
    distance = networkx.multi_source_dijkstra_path_length(against, set(seeds.tolist()))
    assert set(found.nodes.tolist()) == {node for node, d in distance.items() if d <= hops}
    assert len(set(found.nodes.tolist())) == len(found.nodes)
    assert found.nodes[: len(seeds)].tolist() == seeds.tolist()
    expected = sorted(
        (a, b) for a, b in edges.T.tolist() if b in distance and distance[b] <= hops - 1
    )  # double edges stay double
    assert sorted(map(tuple, found.nodes[found.edge_index].T.tolist())) == expected


@settings(max_examples=40, deadline=None)
@given(
    case=seeded_graphs(),
    fanout=st.lists(st.sampled_from([-1, 1, 2, 3]), min_size=1, max_size=3),
    seed=st.integers(0, 9),
)
def test_sampled_edges_are_edges_and_no_node_has_more_than_the_fanout(
    case: tuple[Tensor, int, Tensor], fanout: list[int], seed: int
) -> None:
    edges, nodes, seeds = case
    sampler = NeighbourSampler(edges, nodes)
    found = sampler.sample(seeds, fanout, rng(seed))
    remaining = edges.T.tolist()
    for edge in found.nodes[found.edge_index].T.tolist():
        remaining.remove(edge)  # without replacement: never more often than it is there
    degree = torch.bincount(edges[1], minlength=nodes)
    drawn = torch.bincount(found.edge_index[1], minlength=len(found.nodes))
    largest = max(nodes * 40 if limit < 0 else limit for limit in fanout)
    assert bool((drawn <= degree[found.nodes].clamp(max=largest)).all())
    first = edges.shape[1] if fanout[0] < 0 else fanout[0]
    assert drawn[: len(seeds)].tolist() == degree[seeds].clamp(max=first).tolist()
    again = sampler.sample(seeds, fanout, rng(seed))
    assert torch.equal(again.nodes, found.nodes)
    assert torch.equal(again.edge_index, found.edge_index)


def test_every_neighbour_is_drawn_equally_often() -> None:
    star = torch.stack([torch.arange(1, 7), torch.zeros(6, dtype=torch.int64)])
    sampler, generator = NeighbourSampler(star, 7), rng(1)
    draws = torch.cat([sampler.sample(torch.tensor([0]), [2], generator).nodes[1:] for _ in range(900)])
    counts = torch.bincount(draws, minlength=7)[1:]
    assert int(counts.sum()) == 1800
    assert float(((counts - 300.0) ** 2 / 300).sum()) < 25  # chi square with 5 degrees of freedom


@settings(max_examples=25, deadline=None)
@given(case=seeded_graphs(), name=st.sampled_from(["sage", "gatv2", "gcn"]))
def test_outputs_at_the_seeds_equal_those_of_the_whole_graph(case: tuple[Tensor, int, Tensor], name: str) -> None:
    edges, nodes, seeds = case
    torch.manual_seed(0)
    blocks: dict[str, list[nn.Module]] = {
        "sage": [SAGE(3, 5, aggregation="mean", residual=False), SAGE(5, 4, aggregation="max", residual=False)],
        "gatv2": [GATv2(3, 5, heads=2, head_width=3), GATv2(5, 4, heads=1, head_width=4)],
        "gcn": [GCN(3, 5, residual=False), GCN(5, 4, residual=False)],
    }
    network = nn.Sequential(*blocks[name]).double().eval()
    x = torch.randn(nodes, 3, dtype=torch.float64)
    hops = 3 if name == "gcn" else 2  # the degree of a sender is known one hop later
    found = NeighbourSampler(edges, nodes).sample(seeds, [-1] * hops, rng())
    with torch.no_grad():
        whole = network(Graph(x, edges)).x[seeds]
        part = network(Graph(x[found.nodes], found.edge_index)).x[: len(seeds)]
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-12)


# --- the task ----------------------------------------------------------------------------------------------------------


def load(**options: Any) -> NodeClassification:
    return NodeClassification.load("karate", seed=0, options={"labels_per_class": 0, **options})


def seen_nodes(x: Tensor) -> set[int]:
    """Karate's features are the numbers of its nodes, one-hot."""
    assert bool((x.sum(1) == 1).all())
    return set(x.argmax(1).tolist())


@pytest.mark.parametrize("sampling", [None, {"fanout": [3, -1], "batch": 6}])
def test_inductive_training_never_sees_other_parts(sampling: dict[str, Any] | None) -> None:
    task = load(inductive=True, sampling=sampling)
    split = {part: set(nodes) for part, nodes in task.split.items()}
    club = {tuple(edge) for edge in karate_club().edge_index.T.tolist()}
    batches = [*task.train_batches(rng(), 1), *task.calibration_batches(0, 4, 1), *task.batches("train", 1)]
    for batch in batches:
        x, edges = batch.inputs
        assert seen_nodes(x) <= split["train"]
        numbers = x.argmax(1)
        assert {tuple(edge) for edge in numbers[edges].T.tolist()} <= club
        assert batch.index is not None
        assert torch.equal(karate_club().y[numbers[batch.index]], batch.target)
    (validation,), (test,) = task.batches("validation", 1), task.batches("test", 1)
    assert seen_nodes(validation.inputs[0]) == split["train"] | split["validation"]
    assert seen_nodes(test.inputs[0]) == set(range(34))
    for part, batch in (("validation", validation), ("test", test)):
        assert batch.inputs[0].argmax(1)[batch.index].tolist() == task.split[part]


def test_gradients_of_inductive_training_do_not_depend_on_hidden_nodes() -> None:
    data = karate_club()
    task = load(inductive=True)
    hidden = torch.tensor(task.split["validation"] + task.split["test"])
    touched = torch.isin(data.edge_index, hidden).any(0)
    changed = NodeData(
        data.name,
        data.x.index_fill(0, hidden, 7.0),
        torch.cat([data.edge_index[:, ~touched], hidden[:4].reshape(2, 2), hidden[:4].reshape(2, 2).flip(0)], dim=1),
        data.y.index_fill(0, hidden, 0),
        data.class_names,
    )
    other = NodeClassification(changed, task.split, task._options)
    for first, second in zip(task.train_batches(rng(), 1), other.train_batches(rng(), 1), strict=True):
        assert all(
            map(torch.equal, (*first.inputs, first.target, first.index), (*second.inputs, second.target, second.index))
        )


def test_an_epoch_of_samples_is_one_pass_and_follows_the_generator() -> None:
    task = load(sampling={"fanout": [2, 2], "batch": 6})
    epochs = [list(task.train_batches(rng(seed), 1)) for seed in (1, 1, 2)]
    assert len(epochs[0]) == task.steps_per_epoch(1) == 4
    asked = [batch.inputs[0].argmax(1)[batch.index].tolist() for batch in epochs[0]]
    assert sorted(node for nodes in asked for node in nodes) == task.split["train"]
    for a, b in zip(epochs[0], epochs[1], strict=True):
        assert all(map(torch.equal, (*a.inputs, a.target), (*b.inputs, b.target)))
    assert any(not torch.equal(a.target, c.target) for a, c in zip(epochs[0], epochs[2], strict=True))
    (measured,) = task.batches("validation", 1)
    assert measured.inputs[1].shape == (2, 156)  # all neighbours


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 20, 21, 22, 512])
def test_a_last_batch_of_one_node_is_left_out(batch: int) -> None:
    task = load(sampling={"fanout": [1], "batch": batch})
    sizes = [len(b.target) for b in task.train_batches(rng(), 1)]
    assert len(sizes) == task.steps_per_epoch(1)
    assert batch == 1 or 1 not in sizes
    assert task.describe()["sampling"] == {"fanout": [1], "batch": batch}


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no neighbours": ({"sampling": {"fanout": [3, 0]}}, ConfigError, "0 neighbours cannot be drawn"),
    "no hops": ({"sampling": {"fanout": []}}, ConfigError, "fanout"),
    "unknown option": ({"sampling": {"fan_out": [3]}}, ConfigError, "fan_out.*Did you mean 'fanout'"),
    "steps": ({"sampling": {}, "steps_per_epoch": 3}, ConfigError, "steps_per_epoch and sampling exclude each other"),
    "degrees": (
        {"inductive": True, "features": "degree"},
        ConfigError,
        "'degree' counts edges that inductive training",
    ),
    "no edge left": (
        {"inductive": True, "labels_per_class": 1},
        DataError,
        "karate: no edge joins two training nodes, .*labels_per_class=0",
    ),
}


@pytest.mark.parametrize(("options", "kind", "message"), BAD.values(), ids=BAD)
def test_mistakes_are_named(options: dict[str, Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load(**options)


class _Stop:
    """Ends a job after its first epoch, as a kill does."""

    @hookimpl
    def automl_epoch_ended(self, run: Any, epoch: int, record: Any) -> None:
        raise KeyboardInterrupt


def test_job_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    job = JobConfig(
        space=str(tmp_path / "space.yaml"),
        task="node-classification",
        data="karate",
        task_options={"labels_per_class": 0, "inductive": True, "sampling": {"fanout": [3, 2], "batch": 8}},
        objectives=["error", "macs"],
        trials=4,
        training={"epochs": 3},
    )
    host = Host.load(entry_points=False, plugins=[plugin])
    whole = run_job(job, tmp_path / "whole", host=host)
    with pytest.raises(KeyboardInterrupt):
        run_job(job, tmp_path / "cut", host=Host.load(entry_points=False, plugins=[plugin, _Stop()]))
    cut = run_job(job, tmp_path / "cut", host=host)
    for part in ("supernet.safetensors",):
        assert (whole.folder / part).read_bytes() == (cut.folder / part).read_bytes()
    first, second = (run.read_json("front.json")["members"] for run in (whole, cut))
    assert [m["architecture"] for m in first] == [m["architecture"] for m in second]
    assert [m["test"] for m in first] == [m["test"] for m in second]
