"""Tasks on whole graphs: files, splits and folds, batches, metrics, scenarios."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from automl_graph.blocks import GraphReadout
from automl_graph.data import collection_from_pyg, read_graphs
from automl_graph.data.graph_collection import Sample
from automl_graph.data.motif_graphs import CLASSES, VALUES
from automl_graph.signal import Graph
from automl_graph.tasks import GraphClassification, GraphRegression
from automl_graph.tasks.graph_level import GraphLevelTask
from automl_graph.tasks.scenarios import few_shot, imbalance, move_edges, target_groups
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from automl.errors import ConfigError, DataError
from automl.tasks import Batch

SHARED = os.environ.get("AUTOML_SHARED_DATA")


def arrays() -> dict[str, Any]:
    """Twelve graphs of unequal sizes, four of each class 3, 5 and 9."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(3, 8, size=12)
    edges = [np.array([[i, (i + 1) % n] for i in range(n)]).T for n in sizes]
    edges = [np.concatenate([e, e[::-1]], axis=1) for e in edges]
    return {
        "node_ptr": np.concatenate([[0], sizes.cumsum()]).astype(np.int32),
        "edge_ptr": np.concatenate([[0], np.cumsum([e.shape[1] for e in edges])]).astype(np.int32),
        "edge_index": np.concatenate(edges, axis=1).astype(np.int16),
        "node_label": rng.integers(0, 3, size=sizes.sum()).astype(np.int16) * 2,
        "y": np.array([3, 5, 9] * 4, dtype=np.int16),
        "fold": np.arange(12) % 10,
    }


@pytest.fixture
def file(tmp_path: Path) -> str:
    np.savez(tmp_path / "graphs.npz", **arrays())
    return str(tmp_path / "graphs.npz")


def test_file_becomes_graphs_with_one_hot_labels(file: str) -> None:
    data, content = read_graphs(Path(file), "classes"), arrays()
    assert data.class_names == ("3", "5", "9")
    assert data.width == 3
    assert data.fold is not None
    start, end = content["node_ptr"][4:6]
    assert data.graphs[4].x.argmax(1).tolist() == (content["node_label"][start:end] // 2).tolist()
    first, last = content["edge_ptr"][4:6]
    assert data.graphs[4].edge_index.tolist() == content["edge_index"][:, first:last].tolist()


def test_constant_or_missing_labels_become_degrees(tmp_path: Path) -> None:
    for content in (arrays() | {"node_label": np.ones(int(arrays()["node_ptr"][-1]), int)}, arrays()):
        content = {key: value for key, value in content.items() if key != "node_label" or (value == 1).all()}
        np.savez(tmp_path / "graphs.npz", **content)
        data = read_graphs(tmp_path / "graphs.npz", "classes")
        assert data.degrees
        assert data.width == 3
        assert all((graph.x.argmax(1) == 2).all() for graph in data.graphs)


def test_type_of_the_target_decides_the_task(tmp_path: Path, file: str) -> None:
    from automl_graph.tasks import NodeClassification

    np.savez(tmp_path / "values.npz", **(arrays() | {"y": np.linspace(-1, 2, 12)}))
    values = str(tmp_path / "values.npz")
    tasks = (GraphClassification, GraphRegression, NodeClassification)
    assert [t.recognises(file) for t in tasks] == [True, False, False]
    assert [t.recognises(values) for t in tasks] == [False, True, False]


BAD: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    "no pointers": (lambda c: {k: v for k, v in c.items() if k != "edge_ptr"}, "has no array 'edge_ptr'"),
    "falling pointers": (lambda c: c | {"node_ptr": c["node_ptr"][::-1]}, "'node_ptr' must start with 0"),
    "unequal numbers": (lambda c: c | {"node_ptr": c["node_ptr"][:-1]}, "'node_ptr' tells of 11 graphs"),
    "edges beyond": (lambda c: c | {"edge_index": c["edge_index"] + 1}, "graph 0: edges end at nodes 1 to"),
    "too few edges": (lambda c: c | {"edge_index": c["edge_index"][:, 1:]}, r"'edge_index' has shape"),
    "text labels": (lambda c: c | {"y": c["y"].astype(str)}, "'y' holds <U"),
    "one class": (lambda c: c | {"y": c["y"] * 0}, "'y' holds one class only"),
    "too few labels": (lambda c: c | {"y": c["y"][1:]}, "12 graphs have 11 labels"),
    "several targets": (lambda c: c | {"y": c["y"].reshape(6, 2)}, r"'y' has shape \(6, 2\)"),
    "not finite": (
        lambda c: c | {"x": np.full((int(c["node_ptr"][-1]), 2), np.nan)},
        "graph 0: a feature is not finite",
    ),
    "bad labels": (lambda c: c | {"node_label": c["node_label"][1:]}, "'node_label' has shape"),
    "folds": (lambda c: c | {"fold": c["fold"][1:]}, "'fold' has 11 entries"),
}


@pytest.mark.parametrize(("edit", "message"), BAD.values(), ids=BAD)
def test_unfit_file_is_refused(tmp_path: Path, edit: Callable[..., dict[str, Any]], message: str) -> None:
    path = tmp_path / "graphs.npz"
    np.savez(path, **edit(arrays()))
    with pytest.raises(DataError, match=message) as caught:
        read_graphs(path, "classes")
    assert str(caught.value).startswith(str(path))


def test_one_of_several_targets_is_taken_and_graphs_without_it_are_left_out(tmp_path: Path) -> None:
    y = np.stack([np.arange(12) % 2, np.arange(12) % 3, np.linspace(0, 1, 12)], axis=1).astype(float)
    y[[2, 7], 1] = np.nan
    path = tmp_path / "graphs.npz"
    np.savez(path, **arrays() | {"y": y, "tasks": np.array(["odd", "third", "share"])})
    whole = read_graphs(path, "classes", "odd")
    assert whole.y.tolist() == [0, 1] * 6
    for column in (1, "third"):
        data = read_graphs(path, "classes", column)
        kept = [i for i in range(12) if i not in (2, 7)]
        assert data.y.tolist() == [i % 3 for i in kept]
        assert data.fold is not None
        assert data.fold.tolist() == [arrays()["fold"][i] for i in kept]
        assert all(
            mine is not None and torch.equal(mine.x, whole.graphs[i].x)
            for mine, i in zip(data.graphs, kept, strict=True)
        )
        assert all(
            torch.equal(mine.edge_index, whole.graphs[i].edge_index) for mine, i in zip(data.graphs, kept, strict=True)
        )
    task = GraphRegression.load(str(path), seed=0, options={"target": "share"})
    assert sum(map(len, task.split.values())) == 12
    with pytest.raises(
        DataError, match=r"several targets .* choose one of them with 'task_options.target': odd, third, share"
    ):
        GraphClassification.load(str(path), seed=0)
    with pytest.raises(DataError, match="'y' holds float64; expected integers"):
        GraphClassification.load(str(path), seed=0, options={"target": "share"})
    for unknown in ("shar", 3, -1):
        with pytest.raises(
            ConfigError, match=r"graphs\.npz has no column .*'share'|has no column .* Valid: odd, share, third"
        ):
            GraphClassification.load(str(path), seed=0, options={"target": unknown})
    np.savez(path, **arrays())
    with pytest.raises(ConfigError, match="has one target only"):
        GraphClassification.load(str(path), seed=0, options={"target": 0})
    with pytest.raises(ConfigError, match="'4-cycles' is built in"):
        GraphRegression.load("4-cycles", seed=0, options={"target": 0})


def test_data_sets_of_torch_geometric(tmp_path: Path) -> None:
    from automl_graph import pyg  # noqa: F401  (its guarded import comes before the one of the test)
    from torch_geometric.data import Data, InMemoryDataset

    np.savez(tmp_path / "graphs.npz", **arrays())
    known = read_graphs(tmp_path / "graphs.npz", "classes")

    class Mine(InMemoryDataset):  # type: ignore[misc]
        def __init__(self, graphs: list[Data]) -> None:
            super().__init__(None)
            self.data, self.slices = self.collate(graphs)

    def graphs(y: Any) -> list[Data]:
        return [
            Data(x=graph.x, edge_index=graph.edge_index, y=torch.tensor([value]))
            for graph, value in zip(known.graphs, y, strict=True)
        ]

    data = collection_from_pyg(Mine(graphs((3 * known.y + 2).tolist())), "mine")
    assert data.class_names == ("2", "5", "8")
    task = GraphClassification.of(data, seed=0)
    expected = GraphClassification.load(str(tmp_path / "graphs.npz"), seed=0)
    assert task.split == expected.split
    for mine, other in zip(
        next(task.batches("train", 99)).inputs, next(expected.batches("train", 99)).inputs, strict=True
    ):
        assert torch.equal(mine, other)
    values = collection_from_pyg(graphs(np.linspace(0, 1, 12).tolist()), "mine")
    assert GraphRegression.of(values, seed=0).outputs == 1
    with pytest.raises(DataError, match="mine: its graphs have values, not classes"):
        GraphClassification.of(values, seed=0)
    with pytest.raises(DataError, match="mine: its graphs have classes, not values"):
        GraphRegression.of(data, seed=0)

    plain = [
        Data(edge_index=graph.edge_index, num_nodes=len(graph.x), y=torch.tensor([i % 2]))
        for i, graph in enumerate(known.graphs)
    ]
    assert collection_from_pyg(plain, "mine").degrees
    for wrong, message in (
        ([], "mine: has no graphs"),
        ([*graphs(known.y)[:3], plain[0]], "graph 3 has no features 'x'"),
        ([Data(x=torch.ones(2, 1), edge_index=torch.zeros(2, 0, dtype=torch.int64))], "graph 0 has no tensor 'y'"),
        ([Data(x=torch.ones(2, 1), y=torch.ones(1))], "graph 0 has no tensor 'edge_index'"),
        (
            [Data(x=torch.ones(2, 1), edge_index=torch.zeros(2, 0).long(), y=torch.ones(1, 3))],
            r"'y' has shape \(1, 3\)",
        ),
        (
            [Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [2]]), y=torch.ones(1))],
            "graph 0: edges end at nodes 0 to 2",
        ),
    ):
        with pytest.raises(DataError, match=message):
            collection_from_pyg(wrong, "mine")


def test_training_parts_that_are_all_the_same_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "graphs.npz", **arrays() | {"y": np.full(12, 1.5)})
    with pytest.raises(DataError, match=r"graphs\.npz: 'y' is 1\.5 for all \d+ training graphs"):
        GraphRegression.load(str(tmp_path / "graphs.npz"), seed=0)
    fold = np.array([0, 1] + [2] * 10)
    np.savez(tmp_path / "graphs.npz", **arrays() | {"y": np.array([0, 1] + [1] * 10), "fold": fold})
    with pytest.raises(DataError, match="all 10 samples of part 'train' are of class '1'"):
        GraphClassification.load(str(tmp_path / "graphs.npz"), seed=0, options={"fold": 0})


def test_unreadable_files_and_unknown_names(tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match=r"cannot be read as a \.npz"):
        read_graphs(tmp_path / "broken.npz", "classes")
    with pytest.raises(DataError, match=r"Did you mean 'triangles'"):
        GraphRegression.load("triangle", seed=0)
    with pytest.raises(ConfigError, match="unknown option 'folds'"):
        GraphClassification.load("cycles-or-trees", seed=0, options={"folds": 1})


def test_batches_are_graphs_side_by_side(file: str) -> None:
    task = GraphClassification.load(file, seed=0)
    (batch,) = task.batches("train", 100)
    x, edge_index, graph, sizes = batch.inputs
    ptr = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    assert int(ptr[-1]) == len(x) == len(graph)
    assert torch.equal(graph, torch.bucketize(torch.arange(len(x)), ptr[1:], right=True))
    assert torch.equal(graph[edge_index[0]], graph[edge_index[1]])
    data = read_graphs(Path(file), "classes")
    for number, row in enumerate(task.split["train"]):
        inside = graph[edge_index[0]] == number
        assert torch.equal(edge_index[:, inside] - ptr[number], data.graphs[row].edge_index)
        assert torch.equal(x[ptr[number] : ptr[number + 1]], data.graphs[row].x)
        assert int(batch.target[number]) == int(data.y[row])


def test_every_training_graph_comes_once_an_epoch(file: str) -> None:
    task = GraphClassification.load(file, seed=0)
    seen = [len(b.target) for b in task.train_batches(np.random.default_rng(0), 3)]
    assert sum(seen) >= len(task.split["train"]) - 1
    assert len(seen) == task.steps_per_epoch(3)


def test_parts_of_a_batch_for_several_processes(file: str) -> None:
    task = GraphClassification.load(file, seed=0)
    (batch,) = task.batches("train", 100)
    parts = [task.shard(batch, rank, 2) for rank in range(2)]
    assert sum(len(p.target) for p in parts) == len(batch.target) // 2 * 2
    torch.manual_seed(0)
    head = GraphReadout(3, 2, readout="sum")
    whole = head(Graph(*batch.inputs))
    for rank, part in enumerate(parts):
        torch.testing.assert_close(head(Graph(*part.inputs)), whole[rank::2][: len(part.target)])
    assert task.shard(batch, 0, 1) is batch


@pytest.mark.parametrize("readout", ["sum", "mean", "max", "lcm", "gru", "lcm_exact"])
def test_readout_of_a_graph_does_not_depend_on_the_others(readout: str) -> None:
    torch.manual_seed(0)
    head = GraphReadout(4, 3, readout=readout).double().eval()
    sizes = [2, 5, 1]
    x = torch.randn(8, 4, dtype=torch.float64)
    ptr = torch.tensor([0, 2, 7, 8])
    none = torch.zeros(2, 0, dtype=torch.int64)
    together = head(Graph(x, none, torch.repeat_interleave(torch.arange(3), torch.tensor(sizes)), torch.tensor(sizes)))
    for number, (start, end) in enumerate(zip(ptr[:-1].tolist(), ptr[1:].tolist(), strict=True)):
        torch.testing.assert_close(head(Graph(x[start:end], none))[0], together[number])


def test_folds_are_those_of_the_file_and_cover_all_graphs(tmp_path: Path) -> None:
    content = arrays()
    content["fold"][11] = -1
    np.savez(tmp_path / "graphs.npz", **content)
    for fold in range(10):
        split = GraphClassification.load(str(tmp_path / "graphs.npz"), seed=fold, options={"fold": fold}).split
        assert split["test"] == np.flatnonzero(content["fold"] == fold).tolist()
        assert split["validation"] == np.flatnonzero(content["fold"] == (fold + 1) % 10).tolist()
        assert sorted(chain.from_iterable(split.values())) == list(range(11))


def test_drawn_folds_are_a_partition_and_the_same_for_all_seeds() -> None:
    tests = [GraphRegression.load("triangles", seed=s, options={"fold": s}).split["test"] for s in range(10)]
    assert sorted(chain.from_iterable(tests)) == list(range(300))
    again = GraphRegression.load("triangles", seed=77, options={"fold": 3}).split
    assert again["test"] == tests[3]


def test_folds_need_enough_graphs(tmp_path: Path) -> None:
    np.savez(tmp_path / "graphs.npz", **{k: v for k, v in arrays().items() if k != "fold"})
    with pytest.raises(DataError, match="a class has 4 graphs; ten folds need"):
        GraphClassification.load(str(tmp_path / "graphs.npz"), seed=0, options={"fold": 0})


def test_regression_metrics() -> None:
    task = GraphRegression.load("4-cycles", seed=0)
    batches = [*task.batches("test", 16)]
    true = torch.cat([b.target for b in batches]).double()
    perfect = task.score((b.target[:, None], b) for b in batches)
    assert perfect == {"error": 0.0, "loss": 0.0, "mae": 0.0}
    shifted = task.score((b.target[:, None] + 0.5, b) for b in batches)
    assert shifted["loss"] == pytest.approx(0.25)
    assert shifted["error"] == pytest.approx(0.25 / float(true.var(correction=0)), rel=1e-5)
    deviation = task.describe()["normalisation of the target"]["deviation"]
    assert shifted["mae"] == pytest.approx(0.5 * deviation, rel=1e-5)
    assert task.score((b.target[:, None] * 0 + 99, b) for b in batches)["error"] == 1.0
    train = torch.cat([b.target for b in task.batches("train", 50)]).double()
    assert float(train.mean()) == pytest.approx(0, abs=1e-5)
    assert float(train.std(correction=0)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", [*CLASSES, *VALUES])
def test_built_in_graphs_are_generated_alike_each_time(name: str) -> None:
    build = {**CLASSES, **VALUES}[name]
    assert build().fingerprint == build().fingerprint


def test_cubic_graphs_have_the_known_counts() -> None:
    triangles, squares = VALUES["triangles"]().y, VALUES["4-cycles"]().y
    assert (triangles.mean(), triangles.std()) == (pytest.approx(1.77, abs=0.005), pytest.approx(1.10, abs=0.005))
    assert (squares.mean(), squares.std()) == (pytest.approx(2.27, abs=0.005), pytest.approx(1.42, abs=0.005))


def test_real_features_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    content = arrays()
    rows = int(content["node_ptr"][-1])
    x = np.random.default_rng(1).normal(5, 3, size=(rows, 2))
    x[:, 1] = 7.0
    np.savez(tmp_path / "graphs.npz", **(content | {"x": x}))
    task = GraphClassification.load(str(tmp_path / "graphs.npz"), seed=0)
    found = torch.cat([b.inputs[0] for b in task.batches("train", 100)])
    torch.testing.assert_close(found.mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.std(0, correction=0), torch.tensor([1.0, 0.0]), rtol=0, atol=1e-5)


# Check 12 of Li et al.: scenarios.


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 9), st.floats(0, 0.9), st.integers(0, 100), st.integers(0, 100))
def test_noise_keeps_the_number_of_edges_and_repeats(nodes: int, share: float, graph_seed: int, seed: int) -> None:
    import networkx as nx

    forward = torch.tensor(list(nx.gnp_random_graph(nodes, 0.4, seed=graph_seed).edges), dtype=torch.int64)
    forward = forward.reshape(-1, 2).T
    edges = torch.cat([forward, forward.flip(0)], dim=1)
    graph = Sample(torch.ones(nodes, 1), edges)
    moved = move_edges(graph, share, seed).edge_index
    assert moved.shape == edges.shape
    assert torch.equal(moved, move_edges(graph, share, seed).edge_index)
    before, after = ({tuple(e) for e in t.T.tolist()} for t in (edges, moved))
    assert len(after) == moved.shape[1]
    assert all((b, a) in after and a != b for a, b in after)
    free = nodes * (nodes - 1) // 2 - len(before) // 2
    assert len(before - after) // 2 == min(round(share * len(before) / 2), free)


def test_noise_reaches_training_graphs_only_unless_asked() -> None:
    clean = GraphClassification.load("cycles-or-trees", seed=0)
    noisy = GraphClassification.load("cycles-or-trees", seed=0, options={"noise": 0.3})
    everywhere = GraphClassification.load("cycles-or-trees", seed=0, options={"noise": 0.3, "noise_on_test": True})
    assert clean.split == noisy.split == everywhere.split

    def edges(task: GraphLevelTask, part: Any) -> Tensor:
        return torch.cat([b.inputs[1] for b in task.batches(part, 500)], dim=1)

    assert edges(clean, "train").shape == edges(noisy, "train").shape
    assert not torch.equal(edges(clean, "train"), edges(noisy, "train"))
    for part in ("train", "validation", "test"):
        labels = [torch.cat([b.target for b in task.batches(part, 500)]) for task in (clean, noisy, everywhere)]
        assert torch.equal(labels[0], labels[1])
        assert torch.equal(labels[0], labels[2])
    for part in ("validation", "test"):
        assert torch.equal(edges(clean, part), edges(noisy, part))
        assert not torch.equal(edges(clean, part), edges(everywhere, part))
    (batch,) = noisy.batches("train", 500)
    degrees = torch.bincount(batch.inputs[1][1], minlength=len(batch.inputs[0]))
    assert torch.equal(batch.inputs[0].argmax(1), degrees.clamp(max=batch.inputs[0].shape[1] - 1))


def test_imbalance_and_few_shot_give_the_numbers_asked_for() -> None:
    groups = np.array([0] * 60 + [1] * 60 + [2] * 60)
    rows = list(range(180))
    kept = imbalance(rows, groups, 9.0, seed=1)
    assert np.bincount(groups[kept]).tolist() == [60, 20, 7]
    assert kept == imbalance(rows, groups, 9.0, seed=1) != imbalance(rows, groups, 9.0, seed=2)
    unequal = np.array([0] * 60 + [1] * 12 + [2] * 60)
    assert np.bincount(unequal[imbalance(list(range(132)), unequal, 9.0, seed=1)]).tolist() == [60, 12, 7]
    few = few_shot(rows, groups, 5, seed=1, where="data")
    assert np.bincount(groups[few]).tolist() == [5, 5, 5]
    assert few == few_shot(rows, groups, 5, seed=1, where="data")
    with pytest.raises(DataError, match="data: group 0 has 60 training graphs; 'few_shot: 61'"):
        few_shot(rows, groups, 61, seed=1, where="data")


def test_scenarios_leave_validation_and_test_as_they_are() -> None:
    clean = GraphClassification.load("cycles-or-trees", seed=3).split
    for options in ({"imbalance": 10}, {"few_shot": 5}, {"imbalance": 3, "few_shot": 5}):
        split = GraphClassification.load("cycles-or-trees", seed=3, options=options).split
        assert split["validation"] == clean["validation"]
        assert split["test"] == clean["test"]
        assert set(split["train"]) < set(clean["train"])
        stored = GraphClassification.load("cycles-or-trees", seed=3, options=options, split=split)
        assert stored.split == split


def test_values_are_grouped_by_quantiles() -> None:
    groups = target_groups(np.arange(40.0)[::-1])
    assert np.bincount(groups).tolist() == [10, 10, 10, 10]
    assert groups[0] == 3
    assert target_groups(np.zeros(5)).tolist() == [0] * 5


class _Zero(nn.Module):
    def forward(self, x: Tensor, edge_index: Tensor, batch: Tensor, sizes: Tensor) -> Tensor:
        return x.new_zeros(len(sizes), 2)


def test_batches_are_kept_until_the_task_moves() -> None:
    task = GraphClassification.load("cycles-or-trees", seed=0)
    first, again = (next(task.batches("test", 16)) for _ in range(2))
    assert first.inputs[1] is again.inputs[1]
    task.to("cpu", torch.float64)
    moved: Batch = next(task.batches("test", 16))
    assert moved.inputs[0].dtype == torch.float64
    assert task.evaluate(_Zero(), "test", 16)["error"] == pytest.approx(0.5)


@pytest.mark.skipif(SHARED is None, reason="set AUTOML_SHARED_DATA to the folder with tu_graphs and molecules")
@pytest.mark.parametrize(
    ("name", "graphs", "width"), [("MUTAG", 188, 7), ("PROTEINS", 1113, 3), ("IMDBBINARY", 1000, 65)]
)
def test_real_collections(name: str, graphs: int, width: int) -> None:
    path = Path(str(SHARED)) / "tu_graphs" / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    data = read_graphs(path, "classes")
    assert (len(data.graphs), data.width) == (graphs, width)


@pytest.mark.skipif(SHARED is None, reason="set AUTOML_SHARED_DATA to the folder with tu_graphs and molecules")
def test_real_molecules() -> None:
    path = Path(str(SHARED)) / "molecules" / "esol.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    task = GraphRegression.load(str(path), seed=0)
    assert sum(map(len, task.split.values())) == 1128
    assert task.input_width == 6


@pytest.mark.skipif(SHARED is None, reason="set AUTOML_SHARED_DATA to the folder with tu_graphs and molecules")
def test_real_molecules_of_several_assays() -> None:
    path = Path(str(SHARED)) / "molecules" / "tox21.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent")
    y = np.load(path)["y"][:, 2]
    data = read_graphs(path, "classes", "NR-AhR")
    assert len(data.graphs) == np.isfinite(y).sum() < len(y)
    assert np.bincount(data.y.astype(np.int64)).tolist() == [int((y == label).sum()) for label in (0, 1)]
