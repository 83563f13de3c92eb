"""Features of edges in tasks: aligned with the edges whatever happens to these, measured, and taken by exported networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph import plugin
from automl_graph.data import (
    GraphCollection,
    NodeData,
)
from automl_graph.data.graph_collection import Sample
from automl_graph.links import LinkPrediction
from automl_graph.pyg import coalesce, to_undirected
from automl_graph.signal import GraphFormat
from automl_graph.strategies import contrastive
from automl_graph.tasks import GraphClassification, NodeClassification
from automl_graph.tasks.batch_scale import batch_scale
from automl_graph.tasks.scenarios import move_edges
from torch import Tensor

from automl.errors import ConfigError, DataError
from automl.host import Host
from automl.job import export_picked, load_supernet, pick, run_job
from automl.job_config import JobConfig
from automl.supernet import build_supernet, load_skeleton
from automl.training import TrainingConfig, train

HOST = Host.load(entry_points=False, plugins=[plugin])


def of_ends(x: Tensor, edge_index: Tensor) -> Tensor:
    """Features that tell which edge they belong to, the same in both directions."""
    a, b = x[edge_index[0]], x[edge_index[1]]
    return torch.cat([a + b, a * b], dim=1)


def assert_aligned(inputs: Any, names: Any = ("x", "edge_index", "edge_attr")) -> None:
    graph = GraphFormat(names).pack(*inputs)
    assert graph.edge_attr is not None
    assert graph.edge_index.shape[1]
    torch.testing.assert_close(graph.edge_attr, of_ends(graph.x, graph.edge_index))


def sample(seed: int, nodes: int | None = None) -> Sample:
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(6, 12)) if nodes is None else nodes
    edges = to_undirected(torch.from_numpy(rng.integers(nodes, size=(2, 2 * nodes))))
    edges = edges[:, edges[0] != edges[1]]
    edges = edges[:, torch.from_numpy(rng.permutation(edges.shape[1]))]  # in no order, as in files
    x = torch.from_numpy(rng.normal(size=(nodes, 1))).float()
    return Sample(x, edges, of_ends(x, edges))


def collection(**options: Any) -> GraphClassification:
    data = GraphCollection("made up", tuple(map(sample, range(40))), np.arange(40) % 2, ("a", "b"))
    return GraphClassification.of(data, seed=0, options={"normalise": "none", **options})


def node_data(nodes: int = 60) -> NodeData:
    graph = sample(5, nodes)
    return NodeData(
        "made up", graph.x, graph.edge_index, torch.arange(nodes) % 2, ("a", "b"), edge_attr=graph.edge_attr
    )


def test_fingerprint_covers_them_and_the_option_leaves_them_out() -> None:
    given, without = collection(), collection(edge_features="none")
    assert given.input_names == ("x", "edge_index", "batch", "sizes", "edge_attr")
    assert without.input_names == given.input_names[:-1]
    assert [len(t.dynamic_axes) for t in (given, without)] == [5, 4]
    assert given.fingerprint != without.fingerprint
    described = given.describe()
    assert (described["edge_features"], without.describe()["edge_features"]) == (2, 0)
    assert (described["merged_edges"], described["self_loops"]) == (0, 0)


def test_manifest_tells_what_the_edges_are_like() -> None:
    odd = Sample(
        torch.ones(4, 1), torch.tensor([[0, 0, 1, 1, 2], [1, 1, 0, 2, 2]])
    )  # one twice, a self loop, node 3 alone
    data = GraphCollection("odd", (odd,) * 18, np.arange(18) % 2, ("a", "b")).without_double_edges()
    described = GraphClassification.of(data, seed=0).describe()
    assert described["edges"] == 4 * 18
    assert described["self_loops"] == described["isolated_nodes"] == described["merged_edges"] == 18


def test_collections_from_python_are_checked() -> None:
    good, bad = sample(0), sample(1)
    assert good.edge_attr is not None
    for edge_attr, message in [
        (None, r"graph 1: 'edge_attr' has shape None"),
        (bad.edge_attr[:, :1] if bad.edge_attr is not None else None, r"graph 1: 'edge_attr' has shape \(\d+, 1\)"),
        (torch.full((bad.edge_index.shape[1], 2), torch.nan), "graph 1: 'edge_attr' is not finite"),
    ]:
        with pytest.raises(DataError, match=message):
            GraphCollection("m", (good, Sample(bad.x, bad.edge_index, edge_attr)), np.arange(2), ("a", "b"))


def test_batches_and_shards_of_graphs_keep_features_with_their_edges() -> None:
    task = collection()
    for batch in task.train_batches(np.random.default_rng(0), 7):
        assert_aligned(batch.inputs, task.input_names)
        for rank in range(2):
            assert_aligned(task.shard(batch, rank, 2).inputs, task.input_names)
    task.to("cpu", torch.float64)
    assert_aligned(task.example_inputs(5), task.input_names)
    assert task.example_inputs(1)[-1].dtype == torch.float64


def test_standardised_nodes_leave_features_of_edges_as_they_are() -> None:
    plain, scaled = (next(collection(normalise=how).batches("test", 50)).inputs for how in ("none", "standard"))
    assert not torch.equal(plain[0], scaled[0])
    assert torch.equal(plain[-1], scaled[-1])


def test_moved_edges_take_their_features_with_them() -> None:
    graph = sample(3, 20)
    moved = move_edges(graph, 0.4, 1)
    assert moved.edge_attr is not None
    assert graph.edge_attr is not None
    torch.testing.assert_close(*(sorted(t.edge_attr.tolist()) for t in (moved, graph)))  # type: ignore[union-attr]
    before = {tuple(e) for e in graph.edge_index.T.tolist()}
    stayed = torch.tensor([tuple(e) in before for e in moved.edge_index.T.tolist()])
    assert 0 < int(stayed.sum()) < len(stayed)
    torch.testing.assert_close(moved.edge_attr[stayed], of_ends(moved.x, moved.edge_index)[stayed])
    _, back = coalesce(moved.edge_index.flip(0), moved.edge_attr)
    assert torch.equal(back, moved.edge_attr)
    assert not torch.equal(next(collection(noise=0.5).batches("train", 99)).inputs[1], moved.edge_index)


def test_views_of_the_contrastive_strategy_keep_features_with_their_edges(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    task, seen = collection(), []
    supernet = build_supernet(load_skeleton("graph/level", HOST), task, HOST)
    original = contrastive.Batch

    def watch(inputs: tuple[Tensor, ...], *rest: Any) -> Any:
        seen.append(inputs)
        return original(inputs, *rest)

    monkeypatch.setattr(contrastive, "Batch", watch)
    strategy = contrastive.GraphContrastive(drop=0.5)
    config = TrainingConfig(epochs=1, batch_size=8)
    train(supernet, task, config, strategy=strategy, folder=tmp_path, seed=0, device="cpu")
    assert seen
    for inputs in seen:
        assert_aligned(inputs, task.input_names)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inductive": True},
        {"sampling": {"fanout": [3, 2], "batch": 8}},
        {"inductive": True, "sampling": {"fanout": [2], "batch": 8}},
    ],
    ids=str,
)
def test_views_and_samples_of_nodes_keep_features_with_their_edges(options: dict[str, Any]) -> None:
    task = NodeClassification.of(node_data(), seed=0, options={"labels_per_class": 0, **options})
    assert task.input_names == ("x", "edge_index", "edge_attr")
    for batch in task.train_batches(np.random.default_rng(0), 1):
        assert_aligned(batch.inputs)
    for part in ("train", "validation", "test"):
        assert_aligned(next(task.batches(part, 1)).inputs)
    for copies in (1, 3):
        assert_aligned(task.example_inputs(copies))
    assert_aligned((task.training_graph.x, task.training_graph.edge_index, task.training_graph.edge_attr))
    assert task.describe()["edge_features"] == 2
    without = NodeClassification.of(node_data(), seed=0, options={"edge_features": "none"})
    assert without.input_names == ("x", "edge_index")
    assert len(without.example_inputs(2)) == 2


def test_nodes_from_python_are_checked() -> None:
    given = node_data()
    assert given.edge_attr is not None
    for edge_attr, message in [
        (given.edge_attr[1:], r"'edge_attr' has shape \(\d+, 2\); expected \(\d+, features\)"),
        (given.edge_attr / 0, "'edge_attr' is not finite"),
    ]:
        with pytest.raises(DataError, match=f"made up: {message}"):
            NodeData("made up", given.x, given.edge_index, given.y, ("a", "b"), edge_attr=edge_attr)


def test_links_do_not_read_them() -> None:
    task = LinkPrediction.of(node_data(), seed=0)
    assert task.input_names == ("x", "edge_index", "pairs")
    assert build_supernet(load_skeleton("graph/link-prediction", HOST), task, HOST).space.size() > 1


def test_forward_learning_asks_to_leave_them_out() -> None:
    task = NodeClassification.of(node_data(), seed=0, options={"labels_per_class": 0})
    supernet = build_supernet(load_skeleton("graph/node", HOST), task, HOST)
    strategy = HOST.find("strategy", "forward").load()()
    with pytest.raises(ConfigError, match=r"task_options\.edge_features=none"):
        strategy.check(supernet, task)
    strategy.check(supernet, NodeClassification.of(node_data(), seed=0, options={"edge_features": "none"}))


def test_memory_is_measured_on_graphs_with_features_of_the_right_width() -> None:
    for nodes in (60, 5000):  # measured whole, and on smaller random graphs
        task = NodeClassification.of(node_data(nodes), seed=0, options={"labels_per_class": 0})
        scale = task.step_scale(1)
        for each in scale.samples:
            assert each.batch.inputs[2].shape == (each.batch.inputs[1].shape[1], 2)
        assert scale.input_bytes >= task.example_inputs(1)[2].nbytes
    assert len(scale.samples) > 1
    many, few = [sample(seed) for seed in range(200)], [sample(seed, 4000) for seed in range(3)]
    for graphs in (many, few):
        scale = batch_scale(graphs, torch.zeros(len(graphs), dtype=torch.int64), len(graphs))
        assert len(scale.samples) > 1
        for each in scale.samples:
            assert each.batch.inputs[4].shape == (each.batch.inputs[1].shape[1], 2)
            if graphs is many:  # real graphs, of one sample every second edge
                assert_aligned(each.batch.inputs, ("x", "edge_index", "batch", "sizes", "edge_attr"))
        bare = batch_scale([Sample(g.x, g.edge_index) for g in graphs], torch.zeros(len(graphs)), len(graphs))
        assert scale.input_bytes - bare.input_bytes == scale.whole[1] * 8


@pytest.mark.parametrize("make", [collection, lambda: NodeClassification.of(node_data(), seed=0)])
def test_blocks_are_told_the_width(make: Callable[[], Any]) -> None:
    task = make()
    payload = GraphFormat.for_task(task)
    assert payload.facts()["edge_width"] == 2
    assert payload.inputs == task.input_names
    network = build_supernet(load_skeleton("graph/level", HOST), task, HOST).network
    names = {name.split(".of_edge")[0].split(".")[-1] for name, _ in network.named_parameters() if ".of_edge" in name}
    assert names == {"graph_gat", "graph_gatv2", "graph_gin", "graph_transformer"}


SPACE = """
space: small
input: graph
slots:
  message: {from: input, blocks: [graph.gat, graph.gatv2, graph.gin, graph.transformer], width: [8, 16], depth: [1, 2]}
output: message
"""


def test_a_job_exports_a_network_that_takes_features_of_edges(tmp_path: Path) -> None:
    graphs = [sample(seed) for seed in range(60)]
    np.savez(
        tmp_path / "graphs.npz",
        x=torch.cat([g.x for g in graphs]),
        edge_index=torch.cat([g.edge_index for g in graphs], dim=1),
        bond_type=np.concatenate([np.arange(g.edge_index.shape[1]) % 3 for g in graphs]),
        node_ptr=np.cumsum([0, *(len(g.x) for g in graphs)]),
        edge_ptr=np.cumsum([0, *(g.edge_index.shape[1] for g in graphs)]),
        y=np.linspace(0.0, 1.0, 60),
    )
    (tmp_path / "space.yaml").write_text(SPACE)
    job = JobConfig(
        space=str(tmp_path / "space.yaml"),
        data=str(tmp_path / "graphs.npz"),
        trials=4,
        training={"epochs": 1, "batch_size": 16},
    )
    run = run_job(job, tmp_path / "run", host=HOST)
    (result,) = export_picked(run, "knee", ["pt2"], host=HOST)
    assert [entry["name"] for entry in result.manifest["inputs"]] == ["x", "edge_index", "batch", "sizes", "edge_attr"]
    assert result.manifest["inputs"][-1]["shape"] == ["edges", 3]
    assert result.manifest["task"]["edge_features"] == 3
    supernet, task, _ = load_supernet(run, HOST)
    (member,) = pick(run, "knee")
    model = supernet.extract(supernet.space.architecture(member["architecture"]))
    program = torch.export.load(result.paths["pt2"]).module()
    for count in (1, 4, 9):
        inputs = task.example_inputs(count)
        with torch.no_grad():
            torch.testing.assert_close(program(*inputs), model(*inputs), rtol=1e-4, atol=1e-5)
            assert not torch.allclose(program(*inputs[:-1], inputs[-1].roll(1, 1)), model(*inputs))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's ONNX exporter warns about its own code
@pytest.mark.parametrize("block", ["graph.gat", "graph.gatv2", "graph.gin", "graph.transformer"])
def test_onnx_files_take_features_of_edges(block: str, tmp_path: Path) -> None:
    import onnxruntime

    from automl.objectives.runtimes.onnx_conversion import to_onnx
    from automl.objectives.trace import Trace

    (tmp_path / "space.yaml").write_text(SPACE.replace("depth: [1, 2]", "depth: 1"))
    task = collection()
    supernet = build_supernet(load_skeleton(str(tmp_path / "space.yaml"), HOST), task, HOST)
    values = {name: dimension.choices[-1] for name, dimension in supernet.space.dimensions.items()}
    model = supernet.extract(supernet.space.canonical({**values, "message.blocks.0.choice": block})).eval()
    session = onnxruntime.InferenceSession(to_onnx(model, Trace.of(task)).SerializeToString())
    for count in (1, 5):
        inputs = task.example_inputs(count)
        (found,) = session.run(None, {i.name: t.numpy() for i, t in zip(session.get_inputs(), inputs, strict=True)})
        np.testing.assert_allclose(found, model(*inputs).detach().numpy(), rtol=1e-4, atol=1e-4)


def test_graphs_without_edges_have_features_of_none() -> None:
    lone = Sample(torch.ones(2, 1), torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 2))
    graphs = [lone if seed % 3 else sample(seed) for seed in range(40)]
    data = GraphCollection("lone", tuple(graphs), np.arange(40) % 2, ("a", "b")).without_double_edges()
    task = GraphClassification.of(data, seed=0, options={"normalise": "none", "noise": 0.2})
    for batch in task.train_batches(np.random.default_rng(0), 6):
        assert batch.inputs[4].shape == (batch.inputs[1].shape[1], 2)
    assert task.describe()["isolated_nodes"] >= 52
