"""Features of edges in data and tasks: read, checked, merged with double edges, and aligned whatever happens to the edges."""

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
    RawGraph,
    collection_from_pyg,
    from_pyg,
    load_graph,
    read_graphs,
)
from automl_graph.data.edge_features import edge_table
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


# --- collections -------------------------------------------------------------------------------------------------------


def write(path: Path, **arrays: Any) -> Path:
    """Two graphs: 0 - 1 - 2 with the edge 0 -> 1 twice, and 0 - 1 with a self loop at 1 and a node 2 alone."""
    content = {
        "node_ptr": np.array([0, 3, 6]),
        "edge_ptr": np.array([0, 5, 8]),
        "edge_index": np.array([[0, 2, 1, 1, 0, 0, 1, 1], [1, 1, 0, 2, 1, 1, 0, 1]]),
        "y": np.array([0, 1]),
        "x": np.arange(6.0)[:, None],
    }
    np.savez(path, **{key: value for key, value in (content | arrays).items() if value is not None})
    return path


def test_labels_of_edges_become_one_hot_and_double_edges_their_mean(tmp_path: Path) -> None:
    labels = np.array([7, 3, 3, 3, 3, 9, 7, 3])
    found = read_graphs(write(tmp_path / "g.npz", bond_type=labels), "classes")
    first, second = found.graphs
    assert first.edge_attr is not None
    assert second.edge_attr is not None
    assert found.edge_width == 3
    assert found.merged_edges == 1
    assert first.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert first.edge_attr.tolist() == [[0.5, 0.5, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert second.edge_index.tolist() == [[0, 1, 1], [1, 0, 1]]  # nothing to merge: as in the file
    assert second.edge_attr.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_numbers_come_before_labels_and_equal_labels_tell_nothing(tmp_path: Path) -> None:
    numbers = np.arange(16.0).reshape(8, 2)
    found = read_graphs(write(tmp_path / "g.npz", bond_type=np.arange(8), edge_attr=numbers), "classes")
    assert found.graphs[0].edge_attr is not None
    assert found.graphs[0].edge_attr.tolist() == [[4, 5], [4, 5], [6, 7], [2, 3]]
    assert read_graphs(write(tmp_path / "g.npz", edge_label=np.ones(8, dtype=int)), "classes").edge_width == 0
    column = read_graphs(write(tmp_path / "g.npz", edge_attr=np.arange(8.0)), "classes")
    assert column.edge_width == 1


def test_degrees_count_double_edges_once(tmp_path: Path) -> None:
    found = read_graphs(write(tmp_path / "g.npz", x=None), "classes")
    assert found.graphs[0].x.argmax(1).tolist() == [1, 2, 1]
    assert found.width == 3


def _with(row: int, value: float) -> Any:
    table = np.ones((8, 2))
    table[row, 1] = value
    return table


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "rows": ({"edge_attr": np.ones((7, 2))}, r"'edge_attr' is float64 \(7, 2\); expected real numbers \(8, features\)"),
    "axes": ({"edge_attr": np.ones((8, 2, 2))}, r"'edge_attr' is float64 \(8, 2, 2\)"),
    "none": ({"edge_attr": np.ones((8, 0))}, r"'edge_attr' is float64 \(8, 0\)"),
    "words": ({"edge_label": np.array(["a"] * 8)}, "'edge_label' is <U1"),
    "labels": ({"bond_type": np.arange(9)}, r"'bond_type' is int64 \(9,\)"),
    "gap": ({"edge_attr": _with(3, np.nan)}, "'edge_attr' has 1 values that are not finite, the first at edge 3"),
    "range": ({"edge_attr": _with(6, 1e300)}, "'edge_attr' has 1 values that are not finite, the first at edge 6"),
}


def test_integers_that_are_no_labels_are_refused() -> None:
    table = edge_table(np.arange(512) // 2, 512, "edge_label", "file")
    assert table is not None
    assert table.shape == (512, 256)
    with pytest.raises(DataError, match="file: 'edge_label' holds 257 different integers"):
        edge_table(np.arange(257), 257, "edge_label", "file")


@pytest.mark.parametrize(("arrays", "message"), UNFIT.values(), ids=UNFIT)
def test_unfit_features_name_file_and_array_and_can_be_left_out(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "g.npz", **arrays)
    with pytest.raises(DataError, match=rf"g\.npz: {message}"):
        read_graphs(path, "classes")
    assert read_graphs(path, "classes", edge_features="none").edge_width == 0


def test_fingerprint_covers_them_and_the_option_leaves_them_out() -> None:
    given, without = collection(), collection(edge_features="none")
    assert given.input_names == ("x", "edge_index", "batch", "sizes", "edge_attr")
    assert without.input_names == given.input_names[:-1]
    assert [len(t.dynamic_axes) for t in (given, without)] == [5, 4]
    assert given.fingerprint != without.fingerprint
    described = given.describe()
    assert (described["edge_features"], without.describe()["edge_features"]) == (2, 0)
    assert (described["merged_edges"], described["self_loops"]) == (0, 0)


def test_manifest_tells_what_the_edges_are_like(tmp_path: Path) -> None:
    write(tmp_path / "g.npz")
    many = read_graphs(tmp_path / "g.npz", "classes")
    task = GraphClassification.of(
        GraphCollection("m", many.graphs * 9, np.arange(18) % 2, ("a", "b"), merged_edges=9), seed=0
    )
    described = task.describe()
    assert described["edges"] == 9 * 7
    assert described["self_loops"] == described["isolated_nodes"] == described["merged_edges"] == 9


def test_objects_of_torch_geometric_share_their_labels_of_edges() -> None:
    from torch_geometric.data import Data

    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])

    def made(number: int, edge_attr: Tensor | None) -> Data:
        return Data(x=torch.ones(3, 1), edge_index=ring, y=torch.tensor([number]), edge_attr=edge_attr)

    found = collection_from_pyg([made(0, torch.tensor([5, 5, 2])), made(1, torch.tensor([8, 8, 8]))])
    tables = [graph.edge_attr for graph in found.graphs]
    assert tables[0] is not None
    assert tables[1] is not None
    assert [table.argmax(1).tolist() for table in tables if table is not None] == [[1, 1, 0], [2, 2, 2]]
    twice = torch.cat([ring, ring[:, :1]], dim=1)
    doubled = Data(x=torch.ones(3, 1), edge_index=twice, y=torch.tensor([1]), edge_attr=torch.arange(8.0).view(4, 2))
    merged = collection_from_pyg([made(0, torch.zeros(3, 2)), doubled])
    assert merged.graphs[1].edge_attr is not None
    assert merged.graphs[1].edge_attr.tolist() == [[3, 4], [2, 3], [4, 5]]
    assert merged.merged_edges == 1
    with pytest.raises(DataError, match="graph 1 has no features 'edge_attr', though others have"):
        collection_from_pyg([made(0, torch.ones(3, 1)), made(1, None)])
    with pytest.raises(DataError, match=r"graph 1: 'edge_attr' has shape \(2, 1\); expected \(3, 1\)"):
        collection_from_pyg([made(0, torch.ones(3, 1)), made(1, torch.ones(2, 1))])


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


# --- nodes of one graph ------------------------------------------------------------------------------------------------

RAW = np.array([[0, 0, 1, 2, 2, 3], [1, 1, 0, 2, 3, 2]])


def test_merged_and_added_directions_have_means() -> None:
    table = np.array([1.0, 3.0, 6.0, 7.0, 8.0, 8.0])
    raw = RawGraph("raw", np.eye(5), RAW, np.arange(5) % 2, edge_attr=table)
    directed, both = raw.finish(undirected=False), raw.finish()
    assert directed.merged_edges == both.merged_edges == 1
    assert directed.edge_index.tolist() == [[0, 1, 2, 2, 3], [1, 0, 2, 3, 2]]
    for found, expected in ((directed, [2, 6, 7, 8, 8]), (both, [4, 4, 7, 8, 8])):
        assert found.edge_attr is not None
        assert found.edge_attr.flatten().tolist() == expected
    loopless = RawGraph("raw", np.eye(5), RAW, np.arange(5) % 2, keep_self_loops=False, edge_attr=table).finish()
    assert loopless.edge_attr is not None
    assert loopless.edge_attr.flatten().tolist() == [4, 4, 8, 8]
    none = raw.finish(edge_features="none")
    assert none.edge_attr is None
    assert none.fingerprint != both.fingerprint
    with pytest.raises(DataError, match=r"raw: 'edge_attr' is float64 \(5,\); expected real numbers \(6, features\)"):
        RawGraph("raw", np.eye(5), RAW, np.arange(5) % 2, edge_attr=table[:5]).finish()


def _npz(path: Path, **arrays: Any) -> NodeData:
    np.savez(path / "g.npz", x=np.eye(5), y=np.arange(5) % 2, **arrays)
    graph = load_graph(path / "g.npz")
    assert graph is not None
    return graph.finish(undirected=False)


def _pt(path: Path, edge_attr: Tensor) -> NodeData:
    content = {"x": torch.eye(5), "y": torch.arange(5) % 2, "edge_index": torch.from_numpy(RAW), "edge_attr": edge_attr}
    torch.save(content, path / "g.pt")
    graph = load_graph(path / "g.pt")
    assert graph is not None
    return graph.finish(undirected=False)


def _pyg(path: Path, edge_attr: Tensor) -> NodeData:
    from torch_geometric.data import Data

    data = Data(x=torch.eye(5), y=torch.arange(5) % 2, edge_index=torch.from_numpy(RAW), edge_attr=edge_attr)
    return from_pyg(data).finish(undirected=False)


ROWS = [[0.5, 1], [0, 1], [0, 1], [1, 0], [1, 0]]
SOURCES: dict[str, Callable[[Path], NodeData]] = {
    "npz": lambda path: _npz(
        path, edge_index=RAW, edge_attr=np.array([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0.0]])
    ),
    "pairs": lambda path: _npz(path, edges=RAW.T, edge_attr=np.array([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0]])),
    "pt": lambda path: _pt(path, torch.tensor([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0.0]])),
    "pyg": lambda path: _pyg(path, torch.tensor([[0, 1], [1, 1], [0, 1], [0, 1], [1, 0], [1, 0]])),
}


@pytest.mark.parametrize("source", SOURCES)
def test_files_and_objects_give_features_of_edges(source: str, tmp_path: Path) -> None:
    found = SOURCES[source](tmp_path)
    assert found.edge_attr is not None
    assert found.edge_attr.tolist() == ROWS


def test_labels_and_weights_of_npz_files(tmp_path: Path) -> None:
    labels = _npz(tmp_path, edge_index=RAW, bond_type=np.array([4, 4, 4, 9, 9, 9]))
    assert labels.edge_attr is not None
    assert labels.edge_attr.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]
    rows: dict[str, Any] = {"adj_indptr": np.array([0, 2, 3, 3, 4, 4]), "adj_indices": np.array([3, 1, 0, 2])}
    weighted = _npz(tmp_path, **rows, adj_data=np.array([2, 5, 7, 1]))
    assert weighted.edge_index.tolist() == [[0, 0, 1, 3], [1, 3, 0, 2]]
    assert weighted.edge_attr is not None
    assert weighted.edge_attr.flatten().tolist() == [5, 2, 7, 1]
    for data in ({"adj_data": np.ones(4)}, {}):
        assert _npz(tmp_path, **rows, **data).edge_attr is None


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


# --- memory, jobs, exports ---------------------------------------------------------------------------------------------


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
